import logging
import subprocess
import urllib.request

LOGGER = logging.getLogger("yolov5")


def colorstr(*input):
    *args, string = input
    return f"{string}"


def safe_download(file, url):
    """Only called where the weights are missing."""
    subprocess.run(["curl", "-L", url, "-o", file], check=True)
