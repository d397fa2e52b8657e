"""Takes the files that B3 publishes to the raw bucket: a Lambda function, and a command line."""
