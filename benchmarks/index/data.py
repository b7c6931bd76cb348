"""Embeddings to search: what partitions well, what does not, and what stands between."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def clustered(items: int, queries: int, dimension: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Topics of Zipf sizes inside 32 themes, an item at a cosine of about 0.8 to its topic, queries like items.

    Returns:
        Unit vectors, float32 [items, dimension] and [queries, dimension].
    """
    generator = np.random.default_rng(seed)
    topics = max(16, int(items**0.5))
    themes = _unit(_normal(generator, 32, dimension))[generator.integers(0, 32, topics)]
    centres = _unit(themes + 0.9 * _unit(_normal(generator, topics, dimension)))
    share = 1 / np.arange(1, topics + 1) ** 0.8

    def draw(count: int) -> Floats:
        topic = generator.choice(topics, count, p=share / share.sum())
        return _unit(centres[topic] + 0.7 * _unit(_normal(generator, count, dimension)))

    return draw(items), draw(queries)


def spectrum(items: int, queries: int, dimension: int, seed: int = 0) -> tuple[Floats, Floats]:
    """No clusters, but dimensions whose deviations fall as 1 / n, as those of factorised interactions do."""
    generator = np.random.default_rng(seed)
    deviation = (1 / np.arange(1, dimension + 1)).astype(np.float32)
    return tuple(_unit(_normal(generator, count, dimension) * deviation) for count in (items, queries))  # type: ignore[return-value]


def gaussian(items: int, queries: int, dimension: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Directions without any structure: the worst case of every partition, and unlike anything that was trained."""
    generator = np.random.default_rng(seed)
    return _unit(_normal(generator, items, dimension)), _unit(_normal(generator, queries, dimension))


KINDS: dict[str, Callable[..., tuple[Floats, Floats]]] = {
    "clustered": clustered,
    "spectrum": spectrum,
    "gaussian": gaussian,
}


def _normal(generator: np.random.Generator, rows: int, columns: int) -> Floats:
    return generator.standard_normal((rows, columns), dtype=np.float32)


def _unit(vectors: Floats) -> Floats:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
