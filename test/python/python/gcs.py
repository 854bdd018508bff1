"""As much of Cloud Storage and of Google's token endpoint as a client of one object needs.

python gcs.py PORT. A token names the account whose key signed the request for it; GET /seen tells
which accounts have done what.
"""
import base64
import email
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

objects, seen = {}, []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, kind="application/json", status=200):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def named(self, bucket, name):
        return {"bucket": bucket, "name": name, "size": str(len(objects[bucket, name])), "generation": "1", "id": f"{bucket}/{name}/1"}

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        where = urlsplit(self.path)
        if where.path == "/token":
            claims = parse_qs(body.decode())["assertion"][0].split(".")[1]
            issuer = json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"]
            self.answer({"access_token": "of:" + issuer, "expires_in": 3600, "token_type": "Bearer"})
            return
        bucket = where.path.split("/")[5]
        message = email.message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        metadata, content = (part.get_payload(decode=True) for part in message.get_payload())
        name = json.loads(metadata)["name"]
        objects[bucket, name] = content
        self.note("write", name)
        self.answer(self.named(bucket, name))

    def do_GET(self):
        where = urlsplit(self.path)
        parts = where.path.split("/")
        if where.path == "/seen":
            self.answer(seen)
        elif where.path.endswith("/o"):
            self.note("list", "")
            self.answer({"kind": "storage#objects", "items": [self.named(*each) for each in objects]})
        else:
            bucket, name = parts[parts.index("b") + 1], unquote(parts[-1])
            if (bucket, name) not in objects:
                self.answer({"error": {"code": 404, "message": "no such object"}}, status=404)
                return
            self.note("read", name)
            media = parse_qs(where.query).get("alt") == ["media"]
            self.answer(objects[bucket, name] if media else self.named(bucket, name), "text/plain" if media else "application/json")

    def note(self, did, name):
        seen.append([self.headers.get("Authorization", ""), did, name])


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
