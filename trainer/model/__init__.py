"""The TFRS model: query tower, candidate tower, heads, retrieval, popularity."""
