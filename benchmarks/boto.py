"""What boto3 does, as a program: run by the Python of ``benchmarks.peers``, with nothing of mreg's.

    python boto.py up|down|up-all|down-all ENDPOINT PATH KEY [THREADS]

``-all`` moves a directory, a request at a time in each thread; without it, ``upload_file`` and ``download_file`` move
one file, as they come.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

BUCKET = "models"


def main() -> None:
    """Moves what the arguments say."""
    verb, endpoint, path, key, *rest = sys.argv[1:]
    threads = int(rest[0]) if rest else 10
    client = boto3.client("s3", endpoint_url=endpoint, config=Config(max_pool_connections=threads))
    place = Path(path)
    if verb == "up":
        client.upload_file(path, BUCKET, key)
    elif verb == "down":
        client.download_file(BUCKET, key, path)
    elif verb == "up-all":
        names = [each.relative_to(place).as_posix() for each in place.rglob("*") if each.is_file()]
        with ThreadPoolExecutor(threads) as pool:
            list(
                pool.map(
                    lambda name: client.put_object(
                        Bucket=BUCKET, Key=f"{key}/{name}", Body=(place / name).read_bytes()
                    ),
                    names,
                )
            )
    elif verb == "down-all":
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{key}/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]

        def fetch(each: str) -> None:
            target = place / each[len(key) + 1 :]
            os.makedirs(target.parent, exist_ok=True)  # noqa: PTH103 - a millisecond less than pathlib's
            target.write_bytes(client.get_object(Bucket=BUCKET, Key=each)["Body"].read())

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fetch, keys))


if __name__ == "__main__":
    main()
