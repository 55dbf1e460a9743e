"""The archive: every response as received, and for each run a manifest of its requests and decisions.

    DIR/vnsync-archive.json        marker: the folder is an archive of this format
    DIR/objects/ab/cdef....gz      a response's bytes, named after their SHA-256
    DIR/runs/<run id>.jsonl        a run's manifest: a line for each request and decision, and a seal
    DIR/runs/<run id>.pruned.json  tombstone: which responses of a run were pruned
    DIR/erasures/<number>.json     which responses were erased from, and which objects replace them

`docs/archive.md` describes the format for independent verifiers.
"""
