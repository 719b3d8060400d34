"""Explains what the units of a vision model respond to, over gRPC.

A call walks through the rooms in one direction, and its answer comes back the same way
(``=>`` is the boundary of a process):

    rpc  ->  engine  =>  engine.worker  ->  models, images, algorithms  ->  domain
"""
