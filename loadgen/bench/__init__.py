"""The benchmark of the mesh's path: every figure beside the bare limit that was measured in the same run."""
