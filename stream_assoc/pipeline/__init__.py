"""How a batch is processed: load, associate, create, summarise, store, publish.

`stream_assoc.pipeline.process` is the page to read first.
"""
