"""The sum of the configured encoders."""

from functools import partial

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Randomness
from trainer.layers.encoders.attention import AttentionEncoder, HSTUEncoder
from trainer.layers.encoders.base import Encoder
from trainer.layers.encoders.convolution import ConvolutionEncoder
from trainer.layers.encoders.gru import GRUCell
from trainer.layers.encoders.packing import EndPacking
from trainer.layers.encoders.recurrent import LSTMCell, MinGRUCell, RecurrentEncoder
from trainer.layers.encoders.sums import DecayEncoder, MeanEncoder


class HistoryEncoder(tf.keras.layers.Layer):
    """Sums and normalises the states of the configured encoders."""

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
        newest: bool = False,
    ) -> tf.Tensor:
        """Encodes the history up to each position.

        Args:
            events: float [B, L, D].
            visible: bool [B, L].
            times: int64 [B, L], seconds since 1970; 0 where unknown.
            counted: bool [B, L], the events that take up positions: the visible ones and those that training hides.
                None: the visible ones.
            training: Whether to apply dropout.
            newest: Whether only the state of each row's newest counted event is computed.

        Returns:
            float [B, L, D]; states at positions that are not visible are undefined. With `newest` float [B, 1, D];
            undefined where nothing is visible.
        """
        packing = EndPacking.of(visible if counted is None else counted)
        packed = [packing.pack(values) for values in (events, visible, times)]
        states = [encoder(*packed, training=training, newest=newest) for encoder in self.encoders]
        if newest:  # the packing has put it last
            return self.norm(tf.add_n([state[:, -1:] for state in states]))
        return packing.unpack(self.norm(tf.add_n(states)))


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
