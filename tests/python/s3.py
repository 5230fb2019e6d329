"""moto's S3 as a process of its own, with a bucket that holds the models of a directory.

It refuses whoever does not sign as the one user it knows. moto cannot say so to who does not sign at all (it breaks), so
that much is said before it is asked.
"""

import json
import os
import pathlib
import subprocess
import sys

import program

BUCKET = "models"
REGION = "us-east-1"
DENIED = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class S3:
    """The same, as the tests hold it: its URL and the key that it knows."""

    def __init__(self, models: pathlib.Path, public: bool):
        command = [sys.executable, __file__, str(models), str(int(public))]
        # It ends when its standard input does.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError(f"moto ended with {self.process.returncode}")
        told = json.loads(line)
        self.url = told["url"]
        self.variables = {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION}
        self.credentials = {"AWS_ACCESS_KEY_ID": told["id"], "AWS_SECRET_ACCESS_KEY": told["secret"]}

    def requests(self) -> list[dict]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(program.SOON)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Door:
    """Stands before moto: writes requests down, and lets nobody in who does not sign."""

    def __init__(self, behind):
        self.behind = behind
        self.locked = False
        self.seen = []

    def __call__(self, environ, start_response):
        signed = "HTTP_AUTHORIZATION" in environ
        seen = {"path": environ["PATH_INFO"], "method": environ["REQUEST_METHOD"], "signed": signed}
        told = {"range": environ.get("HTTP_RANGE"), "checksum": environ.get("HTTP_X_AMZ_CHECKSUM_CRC32C")}
        self.seen.append(seen | told)
        if self.locked and not signed and not environ["PATH_INFO"].startswith("/moto-api/"):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [DENIED]
        return self.behind(environ, start_response)


def fill(url: str, models: pathlib.Path, public: bool) -> dict:
    """Puts every file of every model into the bucket; returns the key of the one user."""
    import boto3

    def client(service):
        return boto3.client(
            service, endpoint_url=url, region_name=REGION, aws_access_key_id="any", aws_secret_access_key="any"
        )

    iam = client("iam")
    iam.create_user(UserName="reader")
    actions = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=document)
    bucket = client("s3")
    bucket.create_bucket(Bucket=BUCKET)
    for path in sorted(models.rglob("*")):
        if path.is_file():
            name, grant = str(path.relative_to(models)), "public-read" if public else "private"
            bucket.put_object(Bucket=BUCKET, Key=name, Body=path.read_bytes(), ACL=grant)
    return iam.create_access_key(UserName="reader")["AccessKey"]


def main(models: pathlib.Path, public: bool) -> None:
    import threading
    import urllib.request

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    door = Door(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    key = fill(url, models, public)
    if not public:
        door.locked = True
        # From now on moto checks every signature and the user's policy.
        reset = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(reset).close()
    print(json.dumps({"url": url, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
    door.seen.clear()
    for _ in sys.stdin:
        print(json.dumps(door.seen), flush=True)
    os._exit(0)


if __name__ == "__main__":
    # A moto that looked for real credentials would look in the caller's home.
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    main(pathlib.Path(sys.argv[1]), sys.argv[2] == "1")
