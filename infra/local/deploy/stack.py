"""Take the real template onto the emulator."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from infra.local.deploy import cloudformation, dependencies, translations
from infra.local.deploy.errors import CannotTranslate
from infra.local.deploy.package import Uploads, zip_folder
from infra.local.deploy.template import Template, read, transform
from infra.local.emulator.client import client, open_front_door
from trainyard.model.text import Text

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".trainyard" / "cache"
_NESTED = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}
_PACKAGED = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_PROVIDER_STACK = "trainyard-local"


def deploy(
    template: Path,
    endpoint: str,
    stack_name: str,
    parameters: dict[str, str],
    batch_endpoint: str,
    *,
    cache: Path = CACHE,
) -> dict[str, str]:
    """Create or update `stack_name` from `template`; its outputs.

    `parameters`: values of the template's own parameters. `cache`: folder of bytecode and installed packages.
    CannotTranslate, DeploymentFailed: the message names what is wrong; both come within bounded time.
    """
    cloud = client(endpoint, "cloudformation")
    packager = Packager(template.resolve().parent, endpoint, cache)
    surroundings = translations.Surroundings(batch_endpoint, _batch_provider(cloud, packager, batch_endpoint))
    url = packager.publish(template.resolve(), parameters, surroundings)
    outputs = cloudformation.apply(cloud, stack_name, url, parameters)
    return _lead_to_api(cloud, endpoint, stack_name, outputs)


def functions(endpoint: str, stack_name: str) -> dict[str, str]:
    """Logical id -> name of every function of the stack and of those nested in it."""
    found = cloudformation.resources(client(endpoint, "cloudformation"), stack_name)
    return {name: physical for name, (kind, physical) in found.items() if kind == "AWS::Lambda::Function"}


class Packager:
    """Uploads templates with all they refer to. `root`: the folder that the functions and layers lie in."""

    def __init__(self, root: Path, endpoint: str, cache: Path) -> None:
        self._root = root
        self._cache = cache
        self._uploads = Uploads(client(endpoint, "s3"), endpoint)

    def publish(self, path: Path, parameters: dict[str, str], surroundings: translations.Surroundings) -> str:
        """The address of the translated template, after uploading its code and the templates nested in it."""
        template = read(path)
        _refuse_unknown(parameters, template, path)
        translations.before_transform(template, self._root)
        for resource in template["Resources"].values():
            self._publish_nested(path, resource, surroundings)
            self._publish_code(path, resource)
        plain = transform(template, parameters)
        translations.after_transform(plain, surroundings)
        return self.upload(plain)

    def upload(self, template: Template) -> str:
        return self._uploads.https_url(json.dumps(template, sort_keys=True).encode())

    def zipped(self, folder: Path) -> str:
        """The s3 address of a folder's zip."""
        return self._uploads.s3_uri(zip_folder(folder, cache=self._cache))

    def dependencies(self, extras: tuple[str, ...]) -> str:
        """The s3 address of a layer with these extras of the project."""
        return self._uploads.s3_uri(dependencies.layer(ROOT, self._cache, extras))

    def _publish_nested(self, path: Path, resource: dict[str, Any], surroundings: translations.Surroundings) -> None:
        key = _NESTED.get(resource["Type"], "")
        location = resource.get("Properties", {}).get(key)
        if isinstance(location, str) and "://" not in location:
            resource["Properties"][key] = self.publish(_existing(path.parent / location, path), {}, surroundings)

    def _publish_code(self, path: Path, resource: dict[str, Any]) -> None:
        key = _PACKAGED.get(resource["Type"], "")
        local = resource.get("Properties", {}).get(key)
        if not isinstance(local, str) or local.startswith("s3://"):
            return
        if local == translations.IMAGE_LAYER_CONTENT:
            resource["Properties"][key] = self.dependencies(dependencies.IMAGES)
            return
        folder = (path.parent / local).resolve()
        is_layer = resource["Type"] == "AWS::Serverless::LayerVersion"
        resource["Properties"][key] = self._layer(folder) if is_layer else self.zipped(_existing(folder, path))

    def _layer(self, folder: Path) -> str:
        """`layers/deps` is what the lock file says; any other layer is its `python` folder."""
        if folder == ROOT / "layers" / "deps":
            return self.dependencies(dependencies.FUNCTIONS)
        content = folder if folder.name == "python" else folder / "python"
        return self._uploads.s3_uri(zip_folder(_existing(content, folder), inside="python/", cache=self._cache))


def _batch_provider(cloud: Any, packager: Packager, batch_endpoint: str) -> str:
    """ARN of the function that makes Batch's resources, deployed as a small stack of its own."""
    bucket, _, key = packager.zipped(Path(__file__).parent / "batch_provider").removeprefix("s3://").partition("/")
    _, _, layer_key = packager.dependencies(dependencies.FUNCTIONS).removeprefix("s3://").partition("/")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    function = {
        "Code": {"S3Bucket": bucket, "S3Key": key},
        "Handler": "app.handler",
        "Runtime": "python3.13",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Timeout": 60,
        "Layers": [{"Ref": "Packages"}],
        "Environment": {"Variables": {"AWS_ENDPOINT_URL_BATCH": batch_endpoint}},
    }
    layer = {"LayerName": "local-packages", "Content": {"S3Bucket": bucket, "S3Key": layer_key}}
    template = {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Packages": {"Type": "AWS::Lambda::LayerVersion", "Properties": layer},
            "Batch": {"Type": "AWS::Lambda::Function", "Properties": function},
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Batch", "Arn"]}}},
    }
    translations.use_this_python(template)
    return cloudformation.apply(cloud, _PROVIDER_STACK, packager.upload(template), {})["Arn"]


def _lead_to_api(cloud: Any, endpoint: str, stack_name: str, outputs: dict[str, str]) -> dict[str, str]:
    """Let the emulator's API port lead to the stack's HTTP API, where it has one; the outputs with that address."""
    found = cloudformation.resources(cloud, stack_name).values()
    apis = [physical for kind, physical in found if kind == "AWS::ApiGatewayV2::Api"]
    if not apis:
        return outputs
    address = open_front_door(endpoint, apis[0])
    on_aws = re.compile(rf"https?://{apis[0]}\.execute-api\.[a-z0-9.:-]+")
    return {name: on_aws.sub(address, value) for name, value in outputs.items()}


def _refuse_unknown(parameters: dict[str, str], template: Template, path: Path) -> None:
    unknown = sorted(set(parameters) - set(template.get("Parameters", {})))
    if unknown:
        names = ", ".join(unknown)
        raise CannotTranslate(Text(en=f"{path} has no parameter {names}.", zh=f"{path} 没有参数 {names}。"))


def _existing(path: Path, named_by: Path) -> Path:
    if not path.exists():
        raise CannotTranslate(
            Text(en=f"{named_by} names {path}, which is not there.", zh=f"{named_by} 引用的 {path} 不存在。")
        )
    return path
