"""The CDK stack of the pipeline: `bovespa_stack` is its table of contents, beside it a module a stage."""
