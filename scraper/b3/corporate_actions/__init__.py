"""Corporate actions: cash, new shares and rights that B3 says an issuer's papers have had."""
