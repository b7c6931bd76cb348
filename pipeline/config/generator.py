"""How items that training never saw are recommended."""

from pydantic import Field, PositiveInt

from pipeline.config.base import Section


class GeneratorConfig(Section):
    """A network that makes an item's vector of its content alone, trained against a critic.

    The critic tells generated vectors from learned ones of items of the same content: a Wasserstein distance with
    gradient penalty (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017), conditioned on the content
    (Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014). Besides, the tasks' own losses train the
    generator wherever `model.id_dropout` takes an item's id away.
    """

    layers: tuple[PositiveInt, ...] = (64,)
    """Widths of the generator's hidden layers. It adds to what the content alone gives."""
    critic_layers: tuple[PositiveInt, ...] = (64,)
    """Widths of the critic's."""
    noise: int = Field(default=8, ge=0)
    """Random numbers that generator and content share in front of the critic: items of one content differ. An item
    that is served has none of them."""
    samples: int = Field(default=128, gt=0)
    """Items, drawn evenly from those that training knows, that the critic sees at each step."""
    gradient_penalty: float = Field(default=10.0, ge=0)
    """The factor of the squared distance of the critic's slope from 1."""
    weight: float = Field(default=0.1, gt=0)
    """The factor of generator's and critic's loss beside the tasks'."""
