"""Everything that the emulator needs to be told differently from AWS, each with its reason.

`before_transform` works on a template as it is written, `after_transform` on plain CloudFormation. What is neither
supported by the emulator nor translated here is refused by name, in `deploy`, never left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from infra.local.deploy.errors import CannotTranslate
from infra.local.deploy.template import Template, references
from trainyard.model.text import Text

_ONLY_TLS = {"Bool": {"aws:SecureTransport": "false"}}
IMAGE_LAYER = "LocalImageDependencies"
IMAGE_LAYER_CONTENT = "local:image-dependencies"  # the packager's word for dependencies.IMAGES

# Types that only watch or tidy: nothing of the way of a run goes through them, and the emulator does not know them.
UNWATCHED = {
    "AWS::Budgets::Budget": "money is not spent here",
    "AWS::CloudWatch::AnomalyDetector": "no metric history to learn from",
    "AWS::CloudWatch::CompositeAlarm": "it combines alarms that nobody is paged by here",
    "AWS::Logs::QueryDefinition": "a saved query of the console",
    "AWS::ResourceGroups::Group": "a view of the console",
    "AWS::ApplicationInsights::Application": "a view of the console",
}


@dataclass(frozen=True)
class Surroundings:
    """What a translation may need to know of the embedded stack."""

    batch_endpoint: str
    batch_provider: str  # ARN of the function that makes Batch's resources


def before_transform(template: Template, root: Path) -> None:
    """Every translation of a template as it is written, in place. `root`: the folder that holds `functions`."""
    zip_image_functions(template, root)


def after_transform(template: Template, surroundings: Surroundings) -> None:
    """Every translation of a plain template, in place."""
    expand_api_bodies(template)
    use_this_python(template)
    allow_plain_http(template)
    delegate_batch(template, surroundings)
    stand_in(template)
    tell_functions(template, surroundings)
    trust_this_account(template)
    drop_unwatched(template)


def zip_image_functions(template: Template, root: Path) -> None:
    """There is no Docker here: a function that is an image on AWS runs as a zip of the same code.

    Its code is the folder of `functions` that has the resource's name in snake case; the layers that the image copies
    are attached, and the packages that its image installs come as one more layer.
    """
    images = {name: each for name, each in _resources(template, "AWS::Serverless::Function") if _is_image(each)}
    if not images:
        return
    shared = template.get("Globals", {}).get("Function", {})
    core = [name for name, each in _resources(template, "AWS::Serverless::LayerVersion") if _is_core(each)]
    template["Resources"][IMAGE_LAYER] = {
        "Type": "AWS::Serverless::LayerVersion",
        "Properties": {"ContentUri": IMAGE_LAYER_CONTENT},
    }
    for name, resource in images.items():
        properties = resource["Properties"]
        command = properties.pop("ImageConfig", {}).get("Command", ["app.handler"])
        properties.pop("ImageUri", None)
        properties |= {
            "PackageType": "Zip",
            "CodeUri": str(root / "functions" / _snake_case(name)),
            "Handler": command[0],
            "Runtime": _this_python(),
            "Layers": [{"Ref": each} for each in (IMAGE_LAYER, *core)],
        }
        # Only what Globals has may be ignored; lists in it would be added to the function's own.
        resource["IgnoreGlobals"] = [each for each in ("Runtime", "Handler", "Layers") if each in shared]
        resource.pop("Metadata", None)


def expand_api_bodies(template: Template) -> None:
    """The emulator ignores the OpenAPI `Body` of an HTTP API: write its routes out as resources."""
    for name, api in list(_resources(template, "AWS::ApiGatewayV2::Api")):
        body = api["Properties"].pop("Body", None)
        if body is None:
            continue
        _refuse_authorizers(name, body)
        api["Properties"].pop("FailOnWarnings", None)
        api["Properties"] |= {"Name": body.get("info", {}).get("title", name), "ProtocolType": "HTTP"}
        if cors := body.get("x-amazon-apigateway-cors"):
            api["Properties"]["CorsConfiguration"] = {key[0].upper() + key[1:]: value for key, value in cors.items()}
        for number, (key, integration) in enumerate(_routes(name, body)):
            template["Resources"][f"{name}Integration{number}"] = _integration(name, integration)
            template["Resources"][f"{name}Route{number}"] = {
                "Type": "AWS::ApiGatewayV2::Route",
                "Properties": {
                    "ApiId": {"Ref": name},
                    "RouteKey": key,
                    "Target": {"Fn::Sub": f"integrations/${{{name}Integration{number}}}"},
                },
            }


def use_this_python(template: Template) -> None:
    """Functions run on the interpreter that runs the emulator, and bytecode in the layers is of its version."""
    for _, function in _resources(template, "AWS::Lambda::Function"):
        if str(function["Properties"].get("Runtime", "")).startswith("python"):
            function["Properties"]["Runtime"] = _this_python()
    for _, layer in _resources(template, "AWS::Lambda::LayerVersion"):
        layer["Properties"].pop("CompatibleRuntimes", None)
        layer["Properties"].pop("CompatibleArchitectures", None)


def allow_plain_http(template: Template) -> None:
    """The emulator speaks plain HTTP on loopback: the statements that refuse everything but TLS would refuse all."""
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
        for _, policy in _resources(template, kind):
            document = policy["Properties"]["PolicyDocument"]
            document["Statement"] = [each for each in document["Statement"] if each.get("Condition") != _ONLY_TLS]
    template["Resources"] = {
        name: each
        for name, each in template["Resources"].items()
        if each.get("Properties", {}).get("PolicyDocument", {}).get("Statement") != []
    }


def delegate_batch(template: Template, surroundings: Surroundings) -> None:
    """The emulator has no Batch resources; Batch is a server of its own here.

    They become custom resources, made by a function that calls that server: so references between them, to roles and to
    parameters are resolved as on AWS, and updates and deletions reach the server too.
    """
    for name, resource in template["Resources"].items():
        if not resource["Type"].startswith("AWS::Batch::"):
            continue
        kind = resource["Type"].rpartition("::")[2]
        resource["Type"] = f"Custom::Batch{kind}"
        resource["Properties"] = {
            "ServiceToken": surroundings.batch_provider,
            "ServiceTimeout": 60,
            "LogicalId": name,
            "Kind": kind,
            "Request": resource.get("Properties", {}),
        }


def stand_in(template: Template) -> None:
    """What the emulator has not, and what is referred to but never looked at here: a resource that only has a name.

    Machines are processes of this one, so there is nothing to place near each other.
    """
    for _, group in _resources(template, "AWS::EC2::PlacementGroup"):
        group |= {"Type": "AWS::CloudFormation::WaitConditionHandle", "Properties": {}}


def tell_functions(template: Template, surroundings: Surroundings) -> None:
    """Functions learn where Batch is, and put their name into their requests.

    All functions hold the same credentials unless IAM is enforced; the name is how the call counter tells them apart.
    """
    for name, function in _resources(template, "AWS::Lambda::Function"):
        variables = function["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
        variables |= {"AWS_ENDPOINT_URL_BATCH": surroundings.batch_endpoint, "AWS_SDK_UA_APP_ID": name[:50]}


def trust_this_account(template: Template) -> None:
    """A role may ask for which account a service of AWS acts. Here is one account, and no service says it."""
    for _, role in _resources(template, "AWS::IAM::Role"):
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if set(statement.get("Condition", {}).get("StringEquals", {})) == {"aws:SourceAccount"}:
                del statement["Condition"]["StringEquals"]


def drop_unwatched(template: Template) -> None:
    """What only watches (see UNWATCHED; and alarms on metric math) is left out, unless something works with it."""
    resources = template["Resources"]
    dropped = {name for name, each in resources.items() if each["Type"] in UNWATCHED or _is_math_alarm(each)}
    for name in dropped:
        del resources[name]
    for user, resource in resources.items():
        _forget_order(resource, dropped)
        if used := dropped & set(references(resource)):
            raise CannotTranslate(
                Text(
                    en=f"{user} refers to {', '.join(sorted(used))}, which the emulator does not have.",
                    zh=f"{user} 引用了模拟器不支持的 {', '.join(sorted(used))}。",
                )
            )
    outputs = template.get("Outputs", {})
    for name in [name for name, output in outputs.items() if dropped & set(references(output))]:
        del outputs[name]


def _resources(template: Template, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource


def _is_image(function: dict[str, Any]) -> bool:
    return bool(function["Properties"].get("PackageType") == "Image")


def _is_core(layer: dict[str, Any]) -> bool:
    return "core" in PurePosixPath(str(layer["Properties"]["ContentUri"])).parts


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _this_python() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _refuse_authorizers(name: str, body: dict[str, Any]) -> None:
    if body.get("components", {}).get("securitySchemes"):
        raise CannotTranslate(
            Text(en=f"{name} has authorizers; they are not translated.", zh=f"{name} 带有授权器，尚不支持转换。")
        )


def _routes(name: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(route key, integration) of every operation of an OpenAPI body."""
    for path, operations in body.get("paths", {}).items():
        for method, operation in operations.items():
            integration = operation.get("x-amazon-apigateway-integration") if isinstance(operation, dict) else None
            if integration is None:
                raise CannotTranslate(
                    Text(en=f"{name}: {method} {path} has no integration.", zh=f"{name}：{method} {path} 没有集成。")
                )
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            yield "$default" if path in ("/$default", "$default") else f"{verb} {path}", integration


def _integration(api: str, integration: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "ApiId": {"Ref": api},
        "IntegrationType": "AWS_PROXY",
        "IntegrationMethod": "POST",
        "IntegrationUri": integration["uri"],
        "PayloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
    }
    if "timeoutInMillis" in integration:
        properties["TimeoutInMillis"] = integration["timeoutInMillis"]
    return {"Type": "AWS::ApiGatewayV2::Integration", "Properties": properties}


def _is_math_alarm(resource: dict[str, Any]) -> bool:
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource.get("Properties", {})


def _forget_order(resource: dict[str, Any], dropped: set[str]) -> None:
    """An order of creation is no use of a resource."""
    after = resource.get("DependsOn")
    names = [after] if isinstance(after, str) else list(after or [])
    if dropped & set(names):
        resource["DependsOn"] = [name for name in names if name not in dropped]
