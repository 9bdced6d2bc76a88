"""Configuration of the decoders from feature maps to a class for each pixel."""

from typing import Annotated, Literal

from pydantic import Field

from components.raster.frozen import Frozen


class UNet(Frozen):
    """Goes back from the coarsest map to the finest, each joined on the way (Ronneberger 2015)."""

    kind: Literal["unet"] = "unet"
    filters: int = Field(
        default=32,
        ge=1,
        description="Channels at the finest map; doubled at each coarser one, up to eight times.",
    )


class DeepLab(Frozen):
    """Looks at a coarse map at several scales, refined by a fine one (DeepLab v3+, Chen 2018)."""

    kind: Literal["deeplab"] = "deeplab"
    filters: int = Field(default=64, ge=1, description="Channels of each scale.")
    rates: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(2, 4, 6),
        min_length=1,
        description="Dilations of its 3 x 3 convolutions, in pixels of the coarse map, which has "
        "a sixteenth of the image's side. The paper's 6, 12, 18 are for images of 513 pixels.",
    )


Decoder = Annotated[UNet | DeepLab, Field(discriminator="kind")]
