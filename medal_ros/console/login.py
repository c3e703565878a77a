"""The login: a form that takes the token in the body of a request, never in an address."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from medal_ros.console.gate import Gate

MOST = 4096  # bytes of a form
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>medal console</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; background: #eef1f4; color: #1c2733;
         display: grid; place-items: center; height: 100vh; margin: 0 }}
  form {{ background: #fff; padding: 32px; border-radius: 10px; width: 340px;
         box-shadow: 0 1px 4px #0003 }}
  h1 {{ font-size: 20px; margin: 0 0 12px }} p {{ margin: 0 0 16px }}
  input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: 10px;
                  border-radius: 6px; border: 1px solid #8a97a5 }}
  button {{ margin-top: 12px; background: #0072b2; color: #fff; border: 0 }}
  .wrong {{ color: #a33200; font-weight: 600 }}
</style>
<form method="post" action="/login"><h1>medal console</h1>
<p>The console printed a token when it started.</p>{complaint}
<input name="token" type="password" placeholder="token" autocomplete="off" autofocus
 aria-label="token"><button>Log in</button></form></html>"""


def form(complaint: str = '', status: int = 200) -> HTMLResponse:
    """Return the page that asks for the token."""
    words = f'<p class="wrong">&#9888; {complaint}</p>' if complaint else ''
    return HTMLResponse(PAGE.format(complaint=words), status, {'cache-control': 'no-store'})


async def log_in(request: Request, gate: Gate) -> Response:
    """Give a session for the right token."""
    body = b''
    async for part in request.stream():
        body += part
        if len(body) > MOST:
            return form('That is not a token.', 413)
    given = parse_qs(body.decode(errors='replace')).get('token', [''])[0].strip()
    session = gate.sessions.open(given)
    if session is None:
        return form('That is not the token.', 401)
    answer = RedirectResponse('/', 303)
    answer.raw_headers.append((b'set-cookie', gate.set_cookie(session)))
    return answer
