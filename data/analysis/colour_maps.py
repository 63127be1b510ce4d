"""Colour maps of spectrograms as tables, so that drawing them does not need matplotlib.

The tables are those of matplotlib (by Nathaniel J. Smith, Stefan van der Walt and Eric Firing), in the public
domain under CC0.
"""

from __future__ import annotations

import zlib
from base64 import b85decode
from functools import cache

import numpy as np

from data.errors import SettingsError
from data.io.extras import check_installed

_TABLES = {
    "inferno": (
        "c-n1}0S?132m@{C{{Q1LFkwlzNs)DSAVo<52M8EbX#!7RLfc|5oiME}_EeK*Zji+eO{ZBDhy`&n#i_kMtZ8Zj5^EIBKzrOgr"
        "SiXa>$gRmHEM}zj7QCERq?86+hy?`Zrh(|2yJ0ACRr_|Q+DX?735{{J}ZB7+T?cIBe`LRwfn<Jo)8^cfEA)oZkXM!2PdoqI;"
        "Q~rc)j`tjmP7!XRk%uTt9^mdpy7eJ~h6Tm-vz$<)x(Il|U9#zyT}H-}rh1c&lrl"
    ),
    "magma": (
        "c-nPR0S?442m<>5H+!q7UGH*9LxAF9oxlPJh!0YmG!jB02RB(oj=4;P!=IQO#^W!CHF9H<$igST9Ws2CJkf_kXz51D?2_GU-"
        "e#rW!+M*@dgM+zP|holSN@W>8CPLpoEXA>I^)O4ED4=Y#T|$WjBJv9M%KP~;Vx;3A_`ineHEfeR>^<99H^1A4z(IR<+C6-3o"
        "<jR)wqvp=;q^7xE%eM<0xmOF9+XFFI3Av0a<<kSD7uh"
    ),
    "plasma": (
        "c-nQ6;SR$f2!s!}WPkSDee5!UJFB)!2)X+NH0t+rykReIt>=s`nrGg^F|<XdHF3ivVgiiyDIDseFkfx98wuLYGMjX7gJ*`a$"
        "H}4~MA?={l+F6d_KhiKSe0z7u8YU*<d7SD3Ud76b6{}n#dv~wp|V)_!ak}VU@Jxuw1q<_!3{z)B{+6)SzKD}P$eH;8q2CU1+"
        "DW#RAqnlA^0tPSZb@Kc<&@!BCH9gxAO<VbDjw"
    ),
    "viridis": (
        "c-noE(Gde72t*fXEhVJ?Qet2Q)SQ#t&CX+e`f>3kZ-_wDA5W<G52|32v!7ZD?WB<J*tq)<j2pw9XaqTObvBjLX#s0VacG&ca"
        "i=_*KI&Kd?;Im8eZjc&IE3dGtg#q-zd&k~OqQ7A=r7IOAiwvhKWb=lF7+5MHs+}EImc-1!l4;bo?u>LOP6U@<`xQZ4x3o5hG"
        "qk|^a%uJ_!D5fXciy@zu;oL!EECCn&=l4(TE8"
    ),
}
"""Differences of neighbouring colours, compressed, by the name of the map."""


@cache
def colour_table(name: str) -> np.ndarray:
    """Colours of a colour map by level: uint8, shape (256, 3).

    Parameters
    ----------
    name : str
        Name of a colour map of matplotlib, which is imported for maps that have no table here.

    Raises
    ------
    SettingsError
        If no colour map has this name, or matplotlib is needed and not installed.
    """
    if name in _TABLES:
        steps = np.frombuffer(zlib.decompress(b85decode(_TABLES[name])), dtype=np.uint8)
        return np.cumsum(steps.reshape(256, 3), axis=0, dtype=np.uint8)
    check_installed("search", option=f"--colormap {name}", modules=("matplotlib",))
    import matplotlib as mpl

    try:
        colormap = mpl.colormaps[name]
    except KeyError as error:
        raise SettingsError(f"--colormap {name}: matplotlib has no such colour map; try magma") from error
    return np.asarray(colormap(np.arange(256) / 255, bytes=True)[:, :3])
