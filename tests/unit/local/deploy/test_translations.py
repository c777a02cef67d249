"""What the emulator is told differently from AWS."""

from pathlib import Path

import pytest

from infra.local.deploy import translations
from infra.local.deploy.errors import CannotTranslate
from infra.local.deploy.template import read, references, transform

SURROUNDINGS = translations.Surroundings("http://127.0.0.1:1", "arn:aws:lambda:us-east-1:0:function:batch")


def resources(**each):
    return {"Resources": each}


def budget():
    return {"Type": "AWS::Budgets::Budget", "Properties": {}}


def test_short_forms_are_written_out(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(
        "Resources:\n  A: {Type: X, Properties: {V: 2010-09-09, G: !GetAtt B.Outputs.C, S: !Sub 'x${D.Arn}', I: !If [Q, !Ref E, 1]}}\n"
    )
    properties = read(path)["Resources"]["A"]["Properties"]
    assert properties["V"] == "2010-09-09"
    assert properties["G"] == {"Fn::GetAtt": ["B", "Outputs.C"]}
    assert set(references(properties)) == {"B", "D", "E"}


def test_what_is_no_template_is_refused(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("- 1\n")
    with pytest.raises(CannotTranslate):
        read(path)


def test_an_image_function_becomes_a_zip_of_the_folder_named_like_it():
    template = resources(
        CoreLayer={"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "layers/core/"}},
        ValidateRepo={
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "PackageType": "Image",
                "ImageUri": "r/i:1",
                "ImageConfig": {"Command": ["app.run"]},
                "Timeout": 9,
            },
        },
    )
    translations.before_transform(template, Path("/repository"))
    properties = template["Resources"]["ValidateRepo"]["Properties"]
    assert properties["CodeUri"] == "/repository/functions/validate_repo"
    assert (properties["PackageType"], properties["Handler"], properties["Timeout"]) == ("Zip", "app.run", 9)
    assert properties["Layers"] == [{"Ref": translations.IMAGE_LAYER}, {"Ref": "CoreLayer"}]
    assert "ImageUri" not in properties


def test_an_api_body_becomes_routes():
    uri = {"Fn::Sub": "arn:${F.Arn}"}
    operation = {"x-amazon-apigateway-integration": {"uri": uri, "payloadFormatVersion": "2.0", "timeoutInMillis": 900}}
    paths = {
        "/a": {"post": operation},
        "/b/{x+}": {"x-amazon-apigateway-any-method": operation},
        "/$default": {"x-amazon-apigateway-any-method": operation},
    }
    template = resources(Api={"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": {"paths": paths}}})
    translations.after_transform(template, SURROUNDINGS)
    routes = [each["Properties"] for each in template["Resources"].values() if each["Type"].endswith("::Route")]
    assert [route["RouteKey"] for route in routes] == ["POST /a", "ANY /b/{x+}", "$default"]
    assert template["Resources"]["ApiIntegration0"]["Properties"]["IntegrationUri"] == uri
    assert template["Resources"]["ApiIntegration0"]["Properties"]["TimeoutInMillis"] == 900
    assert "Body" not in template["Resources"]["Api"]["Properties"]


def test_authorizers_are_refused_not_left_out():
    body = {"paths": {}, "components": {"securitySchemes": {"jwt": {}}}}
    template = resources(Api={"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}})
    with pytest.raises(CannotTranslate, match="Api"):
        translations.after_transform(template, SURROUNDINGS)


def test_batch_resources_keep_their_name_and_their_references():
    template = resources(
        Queue={
            "Type": "AWS::Batch::JobQueue",
            "DependsOn": "Other",
            "Properties": {"Priority": 1, "X": {"Ref": "Role"}},
        }
    )
    translations.after_transform(template, SURROUNDINGS)
    queue = template["Resources"]["Queue"]
    assert queue["Type"] == "Custom::BatchJobQueue"
    assert set(references(queue)) == {"Role", "Other"}


def test_what_only_watches_is_dropped_with_the_outputs_that_show_it():
    template = resources(Spending=budget(), Table={"Type": "AWS::DynamoDB::Table", "DependsOn": ["Spending"]})
    template["Outputs"] = {"Spending": {"Value": {"Ref": "Spending"}}, "Table": {"Value": {"Ref": "Table"}}}
    translations.after_transform(template, SURROUNDINGS)
    assert list(template["Resources"]) == ["Table"]
    assert list(template["Outputs"]) == ["Table"]
    assert template["Resources"]["Table"]["DependsOn"] == []


def test_what_something_works_with_is_not_dropped():
    template = resources(Spending=budget(), Function={"Type": "X", "Properties": {"Name": {"Ref": "Spending"}}})
    with pytest.raises(CannotTranslate, match="Function refers to Spending"):
        translations.after_transform(template, SURROUNDINGS)


def test_the_transform_says_why_it_refuses():
    broken = resources(F={"Type": "AWS::Serverless::Function", "Properties": {"Runtime": "python3.13"}})
    broken["Transform"] = "AWS::Serverless-2016-10-31"
    with pytest.raises(CannotTranslate, match="F"):
        transform(broken, {})


def test_policies_that_refuse_plain_http_are_left_out_and_others_stay():
    only_tls = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    allow = {"Effect": "Allow", "Condition": {"ArnEquals": {"aws:SourceArn": "rule"}}}
    template = resources(
        Bucket={"Type": "AWS::S3::BucketPolicy", "Properties": {"PolicyDocument": {"Statement": [only_tls]}}},
        Queue={"Type": "AWS::SQS::QueuePolicy", "Properties": {"PolicyDocument": {"Statement": [allow, only_tls]}}},
    )
    translations.allow_plain_http(template)
    assert template["Resources"] == {
        "Queue": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"PolicyDocument": {"Statement": [allow]}}}
    }


def test_a_service_that_acts_for_this_account_need_not_say_so() -> None:
    statement = {
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": "1"}, "Bool": {"aws:SecureTransport": "true"}},
    }
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [statement]}}}
    translations.trust_this_account({"Resources": {"Role": role}})
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "true"}}
