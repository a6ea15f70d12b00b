"""What the stack promises, read from the template as CloudFormation gets it; each check fails on a broken promise.

A check looks at the transformed template and names what breaks the promise: nothing, for ours. Beside each stand
changes to template.yaml that break it, and the check must then name something.
"""

import copy
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from infra.local.template import transformed_template

ROOT = Path(__file__).parents[2]
OPEN_ROUTES = {"/", "/health", "/openapi.json", "/docs"}


@pytest.fixture(scope="module")
def source():
    """template.yaml as it was written, the OpenAPI document in its place."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    document = yaml.safe_load((ROOT / "infra" / "openapi.yaml").read_text())
    template["Resources"]["Api"]["Properties"]["DefinitionBody"] = document
    return template


@pytest.fixture(scope="module")
def transformed():
    return transformed_template(ROOT / "template.yaml", {})


def of_type(template, name):
    return {n: r for n, r in template["Resources"].items() if r["Type"] == name}


def properties(template, name):
    return {n: r.get("Properties", {}) for n, r in of_type(template, name).items()}


def unencrypted_buckets(template):
    return [n for n, p in properties(template, "AWS::S3::Bucket").items() if "BucketEncryption" not in p]


def public_buckets(template):
    wanted = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    return [
        n
        for n, p in properties(template, "AWS::S3::Bucket").items()
        if {k for k, v in p.get("PublicAccessBlockConfiguration", {}).items() if v is True} != wanted
    ]


def buckets_that_take_plain_http(template):
    def denies(statement, bucket):
        return (
            statement["Effect"] == "Deny"
            and statement["Principal"] == "*"
            and statement["Action"] == "s3:*"
            and statement["Resource"]
            == [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
            and str(statement["Condition"]["Bool"]["aws:SecureTransport"]).lower() == "false"
        )

    policies = {
        p["Bucket"]["Ref"]: p["PolicyDocument"]["Statement"]
        for p in properties(template, "AWS::S3::BucketPolicy").values()
    }
    return [
        bucket
        for bucket in of_type(template, "AWS::S3::Bucket")
        if not any(denies(statement, bucket) for statement in policies.get(bucket, []))
    ]


def buckets_that_go_with_the_stack(template):
    return [
        n
        for n, r in of_type(template, "AWS::S3::Bucket").items()
        if {r.get("DeletionPolicy"), r.get("UpdateReplacePolicy")} != {"Retain"}
    ]


def endless_logs(template):
    return [n for n, p in properties(template, "AWS::Logs::LogGroup").items() if "RetentionInDays" not in p]


def functions_without_a_log_group_of_their_own(template):
    functions = properties(template, "AWS::Lambda::Function")
    groups = Counter(p.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") for p in functions.values())
    return [group for group, times in groups.items() if times > 1 or group not in template["Resources"]]


def shared_or_missing_roles(template):
    roles = Counter(str(p["Role"]) for p in properties(template, "AWS::Lambda::Function").values())
    ours = {str({"Fn::GetAtt": [name, "Arn"]}) for name in of_type(template, "AWS::IAM::Role")}
    return [role for role, times in roles.items() if times > 1 or role not in ours]


def wildcards(template):
    """Name statements on every resource, or on actions of a whole service, but X-Ray's, which knows no resource."""
    found = []
    for name, role in properties(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                xray = all(action.startswith("xray:") for action in actions)
                if any("*" in action for action in actions) or (statement["Resource"] == "*" and not xray):
                    found.append((name, actions))
    return found


def functions_with_managed_policies(template):
    roles = {p["Role"]["Fn::GetAtt"][0] for p in properties(template, "AWS::Lambda::Function").values()}
    return [
        n
        for n, p in properties(template, "AWS::IAM::Role").items()
        if n in roles and "ManagedPolicyArns" in p
    ]


def untraced(template):
    functions = properties(template, "AWS::Lambda::Function")
    stages = properties(template, "AWS::ApiGateway::Stage")
    return [n for n, p in functions.items() if p.get("TracingConfig") != {"Mode": "Active"}] + [
        n for n, p in stages.items() if p.get("TracingEnabled") is not True
    ]


def operations(template):
    (api,) = properties(template, "AWS::ApiGateway::RestApi").values()
    for path, item in api["Body"]["paths"].items():
        for method, operation in item.items():
            if method != "options":  # a browser asks these before, without a key
                yield path, method, operation


def routes_that_cost_without_a_key(template):
    return [
        (path, method)
        for path, method, operation in operations(template)
        if path not in OPEN_ROUTES and operation.get("security") != [{"apiKey": []}]
    ]


def open_routes_that_ask_for_a_key(template):
    return [
        (p, m) for p, m, operation in operations(template) if p in OPEN_ROUTES and operation.get("security")
    ]


def usage_plans_without_bounds(template):
    keys = [k["UsagePlanId"]["Ref"] for k in properties(template, "AWS::ApiGateway::UsagePlanKey").values()]
    plans = properties(template, "AWS::ApiGateway::UsagePlan")
    bounded = [
        n
        for n, p in plans.items()
        if n in keys
        and p["ApiStages"]
        and {"RateLimit", "BurstLimit"} <= p.get("Throttle", {}).keys()
        and p.get("Quota", {}).get("Period") == "MONTH"
    ]
    return [] if bounded and len(bounded) == len(plans) else ["usage plan"]


def stages_without_access_logs_or_throttle(template):
    return [
        n
        for n, p in properties(template, "AWS::ApiGateway::Stage").items()
        if "AccessLogSetting" not in p
        or not any({"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= s.keys() for s in p["MethodSettings"])
    ]


def access_logs_that_tell_who(template):
    formats = [
        p["AccessLogSetting"]["Format"] for p in properties(template, "AWS::ApiGateway::Stage").values()
    ]
    return [w for f in formats for w in ("sourceIp", "userAgent", 'identity.apiKey"') if w in f]


def integrations_that_pass_by_the_alias(template):
    return [
        (path, method)
        for path, method, operation in operations(template)
        if "Aliaslive}/invocations" not in operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    ]


def routes_nobody_may_call(template):
    """Name routes whose function API Gateway has no permission to call through the alias."""
    allowed = {
        (p["FunctionName"]["Ref"], p["SourceArn"]["Fn::Sub"][0].partition("/${__Stage__}/*")[2])
        for p in properties(template, "AWS::Lambda::Permission").values()
    }
    return [
        (path, method)
        for path, method, operation in operations(template)
        if not any(
            f"${{{alias}}}" in operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            and route == path
            for alias, route in allowed
        )
    ]


def aliases_that_move_at_once(template):
    return [
        n
        for n, r in of_type(template, "AWS::Lambda::Alias").items()
        if "CodeDeployLambdaAliasUpdate" not in r.get("UpdatePolicy", {})
    ]


def alarms_that_roll_nothing_back(template):
    """Name alarms on which no deployment is rolled back, and deployments without the alarms they need."""
    groups = properties(template, "AWS::CodeDeploy::DeploymentGroup")
    wired = {
        name: {alarm["Name"]["Ref"] for alarm in p.get("AlarmConfiguration", {}).get("Alarms", [])}
        for name, p in groups.items()
    }
    idle = [
        n
        for n in of_type(template, "AWS::CloudWatch::Alarm")
        if n not in set(itertools.chain(*wired.values()))
    ]
    deaf = [
        n
        for n, p in groups.items()
        if "DEPLOYMENT_STOP_ON_ALARM" not in p.get("AutoRollbackConfiguration", {}).get("Events", [])
    ]
    watched = {
        metric(a)
        for a in (
            properties(template, "AWS::CloudWatch::Alarm")[n]
            for n in wired.get("PredictFunctionDeploymentGroup", ())
        )
    }
    needed = {
        ("Errors", False),
        ("Errors", True),
        ("Duration", False),
        ("Duration", True),
        ("Throttles", False),
        ("5XXError", False),
    }
    return idle + deaf + sorted(needed - watched)


def metric(alarm):
    """Return what an alarm watches, and whether on the executed version alone."""
    queries = [q["MetricStat"]["Metric"] for q in alarm.get("Metrics", []) if "MetricStat" in q] or [alarm]
    dimensions = {d["Name"] for d in queries[0]["Dimensions"]}
    return queries[0]["MetricName"], "ExecutedVersion" in dimensions


def unasked_versions(template):
    """Name aliases of Predict that take traffic before anybody asked the new version for its health."""
    update = template["Resources"]["PredictFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    return (
        []
        if update.get("BeforeAllowTrafficHook") == {"Ref": "PredictPreflight"}
        else ["PredictFunctionAliaslive"]
    )


def parameters_that_deploy_nothing(template):
    """Name Predict's settings that can change without a new version, which the canary would then never see."""
    (description,) = [
        p["Description"]["Fn::Sub"]
        for p in properties(template, "AWS::Lambda::Version").values()
        if p["FunctionName"] == {"Ref": "PredictFunction"}
    ]
    function = properties(template, "AWS::Lambda::Function")["PredictFunction"]
    settings = [function["MemorySize"], function["Timeout"], *function["Environment"]["Variables"].values()]
    parameters = [setting["Ref"] for setting in settings if isinstance(setting, dict) and "Ref" in setting]
    return [name for name in parameters if f"${{{name}}}" not in description]


def fixed_names(template):
    """Name resources that a second stack of the account would fight over."""
    keys = ("BucketName", "FunctionName", "RoleName", "LogGroupName", "AlarmName", "Name", "UsagePlanName")
    owned = {
        "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::IAM::Role", "AWS::Logs::LogGroup",
        "AWS::CloudWatch::Alarm", "AWS::ApiGateway::ApiKey", "AWS::ApiGateway::UsagePlan",
        "AWS::ApiGateway::RestApi",
    }  # fmt: skip
    return [
        (n, key)
        for n, r in template["Resources"].items()
        for key in keys
        if r["Type"] in owned
        and key in r.get("Properties", {})
        and "AWS::StackName" not in str(r["Properties"][key])
    ]


def gateway_answers_that_are_no_problems(template):
    (api,) = properties(template, "AWS::ApiGateway::RestApi").values()
    responses = api["Body"]["x-amazon-apigateway-gateway-responses"]
    needed = {
        "INVALID_API_KEY": 403, "MISSING_AUTHENTICATION_TOKEN": 404, "REQUEST_TOO_LARGE": 413, "THROTTLED": 429,
        "QUOTA_EXCEEDED": 429, "BAD_REQUEST_BODY": 400, "BAD_REQUEST_PARAMETERS": 400, "DEFAULT_4XX": 400,
        "DEFAULT_5XX": 500, "INTEGRATION_TIMEOUT": 504,
    }  # fmt: skip
    headers = {
        "gatewayresponse.header.Content-Type": "'application/problem+json'",
        "gatewayresponse.header.Access-Control-Allow-Origin": {"Fn::Sub": "'${CorsOrigin}'"},
    }
    return [
        name
        for name, status in needed.items()
        if responses.get(name, {}).get("statusCode") != status
        or responses[name]["responseParameters"] != headers
    ] + ([] if "POST /uploads" in str(responses["REQUEST_TOO_LARGE"]) else ["no other way to upload"])


def drop(*path):
    """Return a change to a template: the thing at `path` is gone."""

    def change(template):
        for key in path[:-1]:
            template = template[key]
        del template[path[-1]]

    return change


def put(value, *path):
    """Return a change to a template: `value` is at `path`."""

    def change(template):
        for key in path[:-1]:
            template = template[key]
        template[path[-1]] = value

    return change


BUCKET = ("Resources", "ModelsBucket")
PREDICT = ("Resources", "PredictFunction", "Properties")
MODEL_POLICY = ("Resources", "PredictRole", "Properties", "Policies", 2, "PolicyDocument", "Statement", 0)
API = ("Resources", "Api", "Properties")
BODY = (*API, "DefinitionBody")
ANOTHER_ALIAS = {"Fn::Sub": "arn:aws:lambda:path/functions/${PredictFunction.Arn}/invocations"}
PROMISES = [
    (unencrypted_buckets, drop(*BUCKET, "Properties", "BucketEncryption")),
    (public_buckets, drop(*BUCKET, "Properties", "PublicAccessBlockConfiguration")),
    (public_buckets, put("false", *BUCKET, "Properties", "PublicAccessBlockConfiguration", "BlockPublicAcls")),
    (buckets_that_take_plain_http, drop("Resources", "ModelsBucketPolicy")),
    (buckets_that_take_plain_http, put("Allow", "Resources", "ModelsBucketPolicy", "Properties", "PolicyDocument",
                                       "Statement", 0, "Effect")),
    (buckets_that_go_with_the_stack, drop(*BUCKET, "DeletionPolicy")),
    (buckets_that_go_with_the_stack, put("Delete", *BUCKET, "UpdateReplacePolicy")),
    (endless_logs, drop("Resources", "PredictLogs", "Properties", "RetentionInDays")),
    (functions_without_a_log_group_of_their_own, drop(*PREDICT, "LoggingConfig")),
    (functions_without_a_log_group_of_their_own, put({"Ref": "PortalLogs"}, *PREDICT, "LoggingConfig", "LogGroup")),
    (shared_or_missing_roles, put({"Fn::GetAtt": ["PortalRole", "Arn"]}, *PREDICT, "Role")),
    (wildcards, put("s3:*", *MODEL_POLICY, "Action")),
    (wildcards, put("*", *MODEL_POLICY, "Resource")),
    (functions_with_managed_policies,
     put(["AmazonS3FullAccess"], "Resources", "PredictRole", "Properties", "ManagedPolicyArns")),
    (untraced, drop("Globals", "Function", "Tracing")),
    (untraced, drop(*API, "TracingEnabled")),
    (routes_that_cost_without_a_key, drop(*BODY, "paths", "/predict", "post", "security")),
    (routes_that_cost_without_a_key, put({"get": {"x-amazon-apigateway-integration": {}}}, *BODY, "paths", "/new")),
    (open_routes_that_ask_for_a_key, put([{"apiKey": []}], *BODY, "paths", "/health", "get", "security")),
    (usage_plans_without_bounds, drop("Resources", "UsagePlan", "Properties", "Quota")),
    (usage_plans_without_bounds, drop("Resources", "UsagePlan", "Properties", "Throttle")),
    (usage_plans_without_bounds, drop("Resources", "UsagePlanKey")),
    (stages_without_access_logs_or_throttle, drop(*API, "AccessLogSetting")),
    (stages_without_access_logs_or_throttle, put([], *API, "MethodSettings")),
    (access_logs_that_tell_who, put("$context.identity.sourceIp", *API, "AccessLogSetting", "Format")),
    (integrations_that_pass_by_the_alias,
     put(ANOTHER_ALIAS, *BODY, "paths", "/predict", "post", "x-amazon-apigateway-integration", "uri")),
    (routes_nobody_may_call, drop(*PREDICT, "Events", "Health")),
    (aliases_that_move_at_once, drop(*PREDICT, "DeploymentPreference")),
    (alarms_that_roll_nothing_back, drop(*PREDICT, "DeploymentPreference", "Alarms", 0)),
    (alarms_that_roll_nothing_back, put([], *PREDICT, "DeploymentPreference", "Alarms")),
    (alarms_that_roll_nothing_back,
     drop("Resources", "PredictVersionErrorsAlarm", "Properties", "Dimensions", 2)),
    (unasked_versions, drop(*PREDICT, "DeploymentPreference", "Hooks")),
    (parameters_that_deploy_nothing, put({"Fn::Sub": "${PredictMemory}"}, *PREDICT, "VersionDescription")),
    (fixed_names, put("models", *BUCKET, "Properties", "BucketName")),
    (fixed_names, put("predict", *PREDICT, "FunctionName")),
    (gateway_answers_that_are_no_problems,
     drop(*BODY, "x-amazon-apigateway-gateway-responses", "THROTTLED")),
    (gateway_answers_that_are_no_problems,
     drop(*BODY, "x-amazon-apigateway-gateway-responses", "INVALID_API_KEY", "responseParameters",
          "gatewayresponse.header.Access-Control-Allow-Origin")),
]  # fmt: skip
CHECKS = list(dict.fromkeys(check for check, _ in PROMISES))


@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_there_are_no(check, transformed):
    assert check(transformed) == []


@pytest.mark.parametrize(
    ("check", "change"), PROMISES, ids=[f"{check.__name__}-{n}" for n, (check, _) in enumerate(PROMISES)]
)
def test_a_broken_promise_shows_as(check, change, source, tmp_path):
    broken = copy.deepcopy(source)
    change(broken)
    path = tmp_path / "template.yaml"
    path.write_text(json.dumps(broken))

    assert check(transformed_template(path, {})) != []
