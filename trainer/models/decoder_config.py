"""Configuration of the decoders from feature maps to a class for each pixel."""

from typing import Annotated, Literal

from pydantic import Field

from components.raster.frozen import Frozen


class UNet(Frozen):
    """Decodes from the coarsest feature map to the finest, joining each (Ronneberger 2015)."""

    kind: Literal["unet"] = "unet"
    filters: int = Field(
        default=32,
        ge=1,
        description="Channels at the finest feature map; doubled at each coarser one, up to eight "
        "times.",
    )


class DeepLab(Frozen):
    """Dilated convolutions at several scales, refined by a fine map (DeepLab v3+, Chen 2018)."""

    kind: Literal["deeplab"] = "deeplab"
    filters: int = Field(default=64, ge=1, description="Channels of each scale.")
    rates: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(2, 4, 6),
        min_length=1,
        description="Dilation rates of the 3 x 3 convolutions, in pixels of the coarse feature "
        "map, whose side is a sixteenth of the image's. The paper's 6, 12 and 18 are "
        "for images of 513 pixels.",
    )


Decoder = Annotated[UNet | DeepLab, Field(discriminator="kind")]
