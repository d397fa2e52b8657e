"""The CDK stack of the pipeline: `bovespa_stack` is its table of contents, a module beside it for each stage."""
