"""The archive: every response as it was received, and for each run a manifest that says what was asked and decided.

    DIR/vnsync-archive.json        what this folder is
    DIR/objects/ab/cdef....gz      a response's bytes, named after their SHA-256
    DIR/runs/<run id>.jsonl        a run's manifest: a line for each request and decision, and a seal
    DIR/runs/<run id>.pruned.json  which responses of a run were pruned
    DIR/erasures/<number>.json     what was erased, and what stands in its place

`docs/archive.md` is the format's description for others.
"""
