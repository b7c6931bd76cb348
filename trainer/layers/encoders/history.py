"""The configured encoders together."""

from functools import partial

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Randomness
from trainer.layers.encoders.attention import AttentionEncoder
from trainer.layers.encoders.base import Encoder
from trainer.layers.encoders.convolution import ConvolutionEncoder
from trainer.layers.encoders.gru import GRUCell
from trainer.layers.encoders.hstu import HSTUEncoder
from trainer.layers.encoders.packing import EndPacking
from trainer.layers.encoders.recurrent import LSTMCell, MinGRUCell, RecurrentEncoder
from trainer.layers.encoders.sums import DecayEncoder, MeanEncoder


class HistoryEncoder(tf.keras.layers.Layer):
    """The configured encoders' sum, normalised."""

    def __init__(self, config: HistoryConfig, randomness: Randomness, name: str = "history") -> None:
        super().__init__(name=name)
        self.encoders = [_make_encoder(name, config, randomness) for name in config.encoders]
        self.norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def call(
        self,
        events: tf.Tensor,
        visible: tf.Tensor,
        times: tf.Tensor,
        counted: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Encodes the history up to each position.

        Args:
            events: float [B, L, D].
            visible: bool [B, L].
            times: int64 [B, L], seconds since 1970; 0 where unknown.
            counted: bool [B, L], the events that take up room between others: the visible ones and those that training
                hides. Missing: the visible ones.

        Returns:
            float [B, L, D]; only visible positions have a meaning.
        """
        packing = EndPacking.of(visible if counted is None else counted)
        packed = [packing.pack(values) for values in (events, visible, times)]
        return packing.unpack(self.norm(tf.add_n([encoder(*packed, training=training) for encoder in self.encoders])))

    def newest(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        """As `call` outside training, of each row's newest visible event alone, which is less to do.

        Args:
            events, visible, times: as of `call`.

        Returns:
            float [B, D]; without a meaning where nothing is visible.
        """
        packing = EndPacking.of(visible)
        packed = [packing.pack(values) for values in (events, visible, times)]
        state = tf.add_n([encoder.newest(*packed) for encoder in self.encoders])
        return self.norm(state[:, tf.newaxis])[:, 0]


def _make_encoder(name: str, config: HistoryConfig, randomness: Randomness) -> Encoder:
    makers = {
        "mean": lambda: MeanEncoder(name="mean"),
        "decay": lambda: DecayEncoder(config.decays),
        "attention": lambda: AttentionEncoder(config, randomness),
        "cnn": lambda: ConvolutionEncoder(config, randomness),
        "gru": lambda: RecurrentEncoder(GRUCell, config, randomness, name="gru"),
        "lstm": lambda: RecurrentEncoder(LSTMCell, config, randomness, name="lstm"),
        "mingru": lambda: RecurrentEncoder(partial(MinGRUCell, config.max_events), config, randomness, name="mingru"),
        "hstu": lambda: HSTUEncoder(config, randomness),
    }
    return makers[name]()
