"""Rules for the stack, checked on the template as CloudFormation gets it.

A check returns what violates its rule in the transformed template: nothing, for template.yaml. Next to each check are
changes to template.yaml that violate the rule, and the check must then return something.
"""

import copy
import itertools
import json
import re
from collections import Counter
from functools import reduce
from operator import getitem, setitem

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from functions.shared.contract import FEEDBACK
from infra.local.template import transform
from tests.system import ROOT
from tests.template import stack_template

INCLUDED = [
    ("Api", "DefinitionBody", "functions/portal/openapi.yaml"),
    ("Backfill", "Definition", "infra/backfill.asl.yaml"),
    ("Dashboard", "DashboardBody", "infra/dashboard.yaml"),
]
PUBLISHING = {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]}  # may publish to the topic
OPEN_ROUTES = {"/", "/page/{file}", "/health", "/openapi.json", "/docs"}


@pytest.fixture(scope="module")
def source():
    """The source of template.yaml, with its included files inserted."""
    template = json.loads(json.dumps(yaml_parse((ROOT / "template.yaml").read_text())))  # each alias a copy
    for name, part, file in INCLUDED:
        included = yaml.safe_load((ROOT / file).read_text())
        template["Resources"][name]["Properties"][part] = included
    return template


@pytest.fixture(scope="module")
def transformed():
    return json.loads(json.dumps(stack_template()))  # each alias a copy


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


def buckets_without_tls_policy(template):
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


def buckets_deleted_with_the_stack(template):
    """Name buckets that are deleted with the stack, and those that a failed first deployment leaves behind."""
    kept = ("RetainExceptOnCreate", "Retain")
    return [
        n
        for n, r in of_type(template, "AWS::S3::Bucket").items()
        if (r.get("DeletionPolicy"), r.get("UpdateReplacePolicy")) != kept
    ]


def kept_versions(template):
    """Name versions that stay after a rollback, so that Lambda refuses to publish the same image again."""
    return [
        n for n, r in of_type(template, "AWS::Lambda::Version").items() if r["DeletionPolicy"] != "Delete"
    ]


def log_groups_without_retention(template):
    return [n for n, p in properties(template, "AWS::Logs::LogGroup").items() if "RetentionInDays" not in p]


def functions_without_own_log_group(template):
    functions = properties(template, "AWS::Lambda::Function")
    groups = Counter(p.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") for p in functions.values())
    return [group for group, times in groups.items() if times > 1 or group not in template["Resources"]]


def shared_or_missing_roles(template):
    roles = Counter(str(p["Role"]) for p in properties(template, "AWS::Lambda::Function").values())
    ours = {str({"Fn::GetAtt": [name, "Arn"]}) for name in of_type(template, "AWS::IAM::Role")}
    return [role for role, times in roles.items() if times > 1 or role not in ours]


def statements_with_wildcards(template):
    """Name statements on all resources or all actions, except calls without resource-level permissions."""
    found = []
    for name, role in properties(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                if any("*" in action for action in actions) or (
                    statement["Resource"] == "*" and actions != ["sagemaker:ListModelPackages"]
                ):
                    found.append((name, actions))
    return found


def functions_with_managed_policies(template):
    roles = {p["Role"]["Fn::GetAtt"][0] for p in properties(template, "AWS::Lambda::Function").values()}
    return [
        n
        for n, p in properties(template, "AWS::IAM::Role").items()
        if n in roles and "ManagedPolicyArns" in p
    ]


def statements(template, role):
    """Actions and resource of every statement of a role, as text."""
    return [
        (action, str(resource))
        for policy in template["Resources"][role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
    ]


ACCOUNT = "${AWS::Region}:${AWS::AccountId}"
REGISTRY = f"arn:${{AWS::Partition}}:sagemaker:{ACCOUNT}:model-package/${{AWS::StackName}}/*"
PIPELINE = f"arn:${{AWS::Partition}}:sagemaker:{ACCOUNT}:pipeline/${{RetrainPipeline}}"
DELIVERY = f"arn:${{AWS::Partition}}:firehose:{ACCOUNT}:deliverystream/${{AWS::StackName}}-records"
PERMISSIONS = {
    "PortalRole": {  # whose permissions signed forms and requests for results use
        ("s3:PutObject", "${UploadsBucket.Arn}/api/*"),
        ("s3:GetObject", "${ResultsBucket.Arn}/*.json"),
        ("s3:ListBucket", "ResultsBucket"),
        ("s3:PutObject", "${InsightsBucket.Arn}/feedback/*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/feedback/*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/compliance/*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/drift/latest.json"),
        ("s3:ListBucket", "InsightsBucket"),
        ("dynamodb:Query", "AlertsTable"),
    },
    "BatchRole": {
        ("s3:GetObject", "${ModelsBucket.Arn}/models/*"),
        ("s3:ListBucket", "ModelsBucket"),
        ("s3:GetObject", "${UploadsBucket.Arn}/*"),
        ("s3:ListBucket", "UploadsBucket"),
        ("s3:GetObject", "${ResultsBucket.Arn}/*"),
        ("s3:PutObject", "${ResultsBucket.Arn}/*"),
        ("s3:ListBucket", "ResultsBucket"),
        ("sqs:ReceiveMessage", "UploadsQueue"),
        ("sqs:DeleteMessage", "UploadsQueue"),
        ("sqs:GetQueueAttributes", "UploadsQueue"),
        ("sqs:SendMessage", "UploadsDeadLetters"),
    },
    "DriftRole": {
        ("s3:GetObject", "${RecordsBucket.Arn}/dt=*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/feedback/*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/baseline/*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/compliance/*"),
        ("s3:GetObject", "${InsightsBucket.Arn}/drift/latest.json"),
        ("s3:GetObject", "${ModelsBucket.Arn}/models/*"),
        ("s3:ListBucket", "RecordsBucket"),
        ("s3:ListBucket", "InsightsBucket"),
        ("s3:ListBucket", "ModelsBucket"),
        ("s3:PutObject", "${InsightsBucket.Arn}/compliance/*"),
        ("s3:PutObject", "${InsightsBucket.Arn}/drift/*"),
        ("sqs:SendMessage", "DriftDeadLetters"),
    },
    "DriftScheduleRole": {
        ("lambda:InvokeFunction", "DriftFunction"),
        ("sqs:SendMessage", "DriftDeadLetters"),
    },
    "PromoteRole": {
        ("s3:GetObject", "${ModelsBucket.Arn}/models/*"),
        ("s3:ListBucket", "ModelsBucket"),
        ("sqs:ReceiveMessage", "PromoteQueue"),
        ("sqs:DeleteMessage", "PromoteQueue"),
        ("sqs:GetQueueAttributes", "PromoteQueue"),
        ("sagemaker:DescribeModelPackage", REGISTRY),
        ("sagemaker:UpdateModelPackage", REGISTRY),
        ("sagemaker:ListModelPackages", "*"),
        ("cloudformation:DescribeStacks", "AWS::StackId"),
        ("cloudformation:DescribeStackEvents", "AWS::StackId"),
        ("cloudformation:UpdateStack", "AWS::StackId"),
        (
            "cloudformation:CreateChangeSet",
            "arn:${AWS::Partition}:cloudformation:${AWS::Region}:aws:transform/*",
        ),
        ("iam:PassRole", "PromotionRole"),
        ("sns:Publish", "AlarmsTopic"),
        ("kms:Decrypt", "AlarmsKey"),
        ("kms:GenerateDataKey", "AlarmsKey"),
    },
    "RetrainRole": {
        ("sagemaker:ListPipelineExecutions", PIPELINE),
        ("sagemaker:StartPipelineExecution", PIPELINE),
        ("sqs:SendMessage", "RetrainDeadLetters"),
    },
    "AlertsRole": {
        ("dynamodb:DeleteItem", "AlertsTable"),
        ("dynamodb:GetItem", "AlertsTable"),
        ("dynamodb:PutItem", "AlertsTable"),
        ("dynamodb:Query", "AlertsTable"),
        ("dynamodb:UpdateItem", "AlertsTable"),
        ("s3:GetObject", "${ModelsBucket.Arn}/models/*/manifest.json"),
        ("s3:ListBucket", "ModelsBucket"),
        ("sns:Publish", "AlertsTopic"),
        ("kms:Decrypt", "AlarmsKey"),
        ("kms:GenerateDataKey", "AlarmsKey"),
        ("events:PutEvents", f"arn:${{AWS::Partition}}:events:{ACCOUNT}:event-bus/default"),
        ("sqs:SendMessage", "AlertsDeadLetters"),
    },
    "AlertsScheduleRole": {
        ("lambda:InvokeFunction", "AlertsFunction"),
        ("sqs:SendMessage", "AlertsDeadLetters"),
    },
    "RecordsWriterRole": {
        ("s3:AbortMultipartUpload", "${RecordsBucket.Arn}/*"),
        ("s3:GetObject", "${RecordsBucket.Arn}/*"),
        ("s3:PutObject", "${RecordsBucket.Arn}/*"),
        ("s3:GetBucketLocation", "RecordsBucket"),
        ("s3:ListBucket", "RecordsBucket"),
        ("s3:ListBucketMultipartUploads", "RecordsBucket"),
    },
    "RecordsSenderRole": {("firehose:PutRecord", DELIVERY), ("firehose:PutRecordBatch", DELIVERY)},
}


def wrong_permissions(template):
    """Return roles, with actions and resources, where a role differs from what it needs."""

    def named(resource):
        if resource.startswith("{'Fn::GetAtt'"):
            return re.search(r"'(\w+)', 'Arn'", resource)[1]
        if resource.startswith("{'Ref'"):
            return re.search(r"'([\w:]+)'}", resource)[1]
        return resource.removeprefix("{'Fn::Sub': '").removesuffix("'}")

    granted = {
        (role, action, named(resource))
        for role in PERMISSIONS
        for action, resource in statements(template, role)
        if action not in {"logs:CreateLogStream", "logs:PutLogEvents"}
    }
    needed = {(role, *permission) for role, permissions in PERMISSIONS.items() for permission in permissions}
    return sorted(granted ^ needed)


def private_results_readable_by_clients(template):
    """Name prefixes of the results bucket that hold no result of an upload and that a client could ask for."""
    denied = {
        resource["Fn::Sub"].partition("/")[2]
        for policy in template["Resources"]["PortalRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if (statement["Effect"], statement["Action"]) == ("Deny", "s3:GetObject")
        for resource in statement["Resource"]
    }
    return sorted({"backfill/*", "inventory/*", "preflight/*"} - denied)


def roles_open_to_other_accounts(template):
    """Name service roles whose trust policies are not limited to this account."""
    bound = {
        "BackfillRole": ("StringEquals", "aws:SourceAccount"),
        "AlertsScheduleRole": ("StringEquals", "aws:SourceAccount"),
        "DriftScheduleRole": ("StringEquals", "aws:SourceAccount"),
        "RecordsSenderRole": ("StringLike", "aws:SourceArn"),
        "RecordsWriterRole": ("StringEquals", "aws:SourceAccount"),
    }
    roles = properties(template, "AWS::IAM::Role")
    return [
        name
        for name, (operator, key) in bound.items()
        for statement in roles[name]["AssumeRolePolicyDocument"]["Statement"]
        if "AWS::AccountId" not in str(statement.get("Condition", {}).get(operator, {}).get(key))
    ]


def wrong_log_subscriptions(template):
    """Name log groups with records and no subscription, and subscriptions of others or without a filter."""
    subscribed = {
        (p["LogGroupName"]["Ref"], p["FilterPattern"], p["DestinationArn"]["Fn::GetAtt"][0])
        for p in properties(template, "AWS::Logs::SubscriptionFilter").values()
    }
    takers = (('{ $.route = "*" }', "RecordsStream"), ('{ $.prediction_id = "*" }', "AlertsFunction"))
    needed = {(group, *taker) for group in ("PredictLogs", "BatchLogs") for taker in takers}
    return sorted(subscribed ^ needed)


def streams_with_wrong_processing(template):
    """Name streams that keep the envelope of log events, omit delimiters, do not partition by day or hide errors."""
    processors = [
        ("Decompression", "CompressionFormat", "GZIP"),
        ("CloudWatchLogProcessing", "DataMessageExtraction", "true"),
        ("AppendDelimiterToRecord", "Delimiter", r"\n"),
    ]
    found = []
    for name, stream in properties(template, "AWS::KinesisFirehose::DeliveryStream").items():
        destination = stream["ExtendedS3DestinationConfiguration"]
        processing = destination.get("ProcessingConfiguration", {})
        given = [
            (p["Type"], parameter["ParameterName"], parameter["ParameterValue"])
            for p in processing.get("Processors", [])
            for parameter in p["Parameters"]
        ]
        if (
            given != processors
            or processing["Enabled"] is not True
            or destination["CompressionFormat"] != "GZIP"
            or destination["Prefix"] != "dt=!{timestamp:yyyy-MM-dd}/"
            or not destination.get("ErrorOutputPrefix", "").startswith(
                "errors/!{firehose:error-output-type}/"
            )
            or destination.get("CloudWatchLoggingOptions", {}).get("Enabled") is not True
            or "KeyType" not in stream.get("DeliveryStreamEncryptionConfigurationInput", {})
        ):
            found.append(name)
    return found


def tables_with_wrong_partitions(template):
    """Name tables whose projected partitions differ from the keys of their objects, or start too late."""
    (stream,) = properties(template, "AWS::KinesisFirehose::DeliveryStream").values()
    folders = {
        "RecordsTable": f"${{{stream['ExtendedS3DestinationConfiguration']['BucketARN']['Fn::GetAtt'][0]}}}/",
        "FeedbackTable": f"${{InsightsBucket}}/{FEEDBACK}",
    }
    wanted = {
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.range": {"Fn::Sub": "NOW-${RecordsDays}DAYS,NOW"},
    }
    return [
        name
        for name, table in properties(template, "AWS::Glue::Table").items()
        if not wanted.items() <= (parameters := table["TableInput"]["Parameters"]).items()
        or parameters["storage.location.template"] != {"Fn::Sub": f"s3://{folders[name]}dt=${{!dt}}/"}
        or table["TableInput"]["PartitionKeys"] != [{"Name": "dt", "Type": "string"}]
    ]


def wrong_retentions(template):
    """Name objects and logs whose retention differs from their parameter."""
    wanted = {
        ("RecordsBucket", "", "RecordsDays"),
        ("InsightsBucket", "feedback/", "RecordsDays"),
        ("ResultsBucket", "", "ResultsDays"),
    }
    expires = {
        (name, rule.get("Prefix", ""), rule["ExpirationInDays"].get("Ref"))
        for name in ("RecordsBucket", "InsightsBucket", "ResultsBucket")
        for rule in template["Resources"][name]["Properties"]["LifecycleConfiguration"]["Rules"]
        if rule["Status"] == "Enabled" and isinstance(rule.get("ExpirationInDays"), dict)
    }
    kept = [
        name
        for name in ("RecordsBucket", "InsightsBucket")
        if "NoncurrentVersionExpiration"
        not in str(template["Resources"][name]["Properties"]["LifecycleConfiguration"])
    ]
    return sorted(wanted - expires) + kept


def rules_of_markers_alone(template):
    """Name lifecycle rules with nothing but ExpiredObjectDeleteMarker, which CloudFormation refuses and S3 allows."""
    about = {"Id", "Status", "Prefix", "TagFilters", "ExpiredObjectDeleteMarker"}
    return [
        f"{name} {rule['Id']}"
        for name, bucket in properties(template, "AWS::S3::Bucket").items()
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        if not rule.keys() - about
    ]


def schedules_without_failure_alarm(template):
    """Name schedules and scheduled functions without retries, dead-letter queue or alarm."""
    functions, found = properties(template, "AWS::Lambda::Function"), []
    watched = {
        str(d["Value"])
        for a in properties(template, "AWS::CloudWatch::Alarm").values()
        if a.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        for d in a["Dimensions"]
    }
    for name, schedule in properties(template, "AWS::Scheduler::Schedule").items():
        target = schedule["Target"]
        queue = target.get("DeadLetterConfig", {}).get("Arn", {}).get("Fn::GetAtt", [None])[0]
        function = functions[target["Arn"]["Fn::GetAtt"][0]]
        if (
            queue is None
            or not 0 < target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 0) < 185
            or function.get("DeadLetterConfig", {}).get("TargetArn") != {"Fn::GetAtt": [queue, "Arn"]}
            or str({"Fn::GetAtt": [queue, "QueueName"]}) not in watched
        ):
            found.append(name)
    return found


def server_errors_without_alarm_if_requests_are_rare(template):
    """Name the metric if nobody is notified when the only request in every ten minutes fails."""
    alarms = [
        a
        for a in properties(template, "AWS::CloudWatch::Alarm").values()
        if a.get("MetricName") == "5XXError" and a.get("AlarmActions")
    ]
    noticed = [
        a
        for a in alarms
        if a["EvaluationPeriods"] * a["Period"] // 600 >= a.get("DatapointsToAlarm", a["EvaluationPeriods"])
    ]
    return [] if noticed else ["5XXError"]


def alarms_with_wrong_missing_data_rule(template):
    """Name alarms on Drift not running, or on drift, that missing data would switch off."""
    alarms = properties(template, "AWS::CloudWatch::Alarm")
    wanted = {"DriftMissingAlarm": "breaching", "DriftAlarm": "ignore", "AccuracyAlarm": "ignore"}
    return [name for name, missing in wanted.items() if alarms[name].get("TreatMissingData") != missing]


def operator_alarms(template):
    """Return alarms that are not limited to one version; CodeDeploy watches those."""
    return {n for n, a in properties(template, "AWS::CloudWatch::Alarm").items() if not metric(a)[1]}


def alarms_with_wrong_actions(template):
    """Name alarms that do not notify the topic of both states, and alarms of a version that do."""
    topic = [{"Ref": "AlarmsTopic"}]
    tell = {
        n
        for n, a in properties(template, "AWS::CloudWatch::Alarm").items()
        if a.get("AlarmActions") == topic and a.get("OKActions") == topic
    }
    return sorted(tell ^ operator_alarms(template))


def wrong_members_of_unwell_alarm(template):
    rule = str(template["Resources"]["UnwellAlarm"]["Properties"]["AlarmRule"])
    return sorted(set(re.findall(r"\$\{(\w+)\}", rule)) ^ operator_alarms(template))


def missing_alarm_topic_permissions(template):
    """Name what is missing for CloudWatch to publish to an encrypted topic; only SNS may use the AWS-managed key."""
    topic = template["Resources"]["AlarmsTopic"]["Properties"]
    key = re.search(r"'Ref': '(\w+)'|$", str(topic.get("KmsMasterKeyId")))[1]
    if template["Resources"].get(key, {}).get("Type") != "AWS::KMS::Key":
        return ["a key of its own"]
    policies = {
        "use the key": template["Resources"][key]["Properties"]["KeyPolicy"]["Statement"],
        "publish": template["Resources"]["AlarmsTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"],
    }
    ours = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    return [
        what
        for what, allowed in policies.items()
        if not any(
            s["Principal"] == PUBLISHING and s.get("Condition") == ours
            for s in allowed
            if s["Effect"] == "Allow"
        )
    ]


def open_alarm_topic_statements(template):
    """Name statements that let others than CloudWatch and Budgets publish, or allow plain HTTP."""
    policy = template["Resources"]["AlarmsTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    tls = any(
        s["Effect"] == "Deny"
        and s["Principal"] == "*"
        and str(s["Condition"]["Bool"]["aws:SecureTransport"]).lower() == "false"
        for s in policy
    )
    allowed = [s for s in policy if s["Effect"] == "Allow"]
    return [s for s in allowed if s["Principal"] != PUBLISHING] + ([] if tls else ["plain HTTP"])


def wrong_backfill_permissions(template):
    """Backfill's role itself reads no picture and writes no result: Batch does."""
    return [
        (action, resource)
        for action, resource in statements(template, "BackfillRole")
        if (
            action == "s3:GetObject"
            and not re.search(r"ResultsBucket.Arn}/(inventory|backfill)/\*", resource)
        )
        or (action == "s3:PutObject" and "ResultsBucket.Arn}/backfill/*" not in resource)
        or (action == "lambda:InvokeFunction" and resource != "{'Ref': 'BatchFunctionAliaslive'}")
    ]


def queue_mappings(template):
    """Yield each queue that a function reads: name, properties, the mapping's properties, the function's name."""
    for mapping in properties(template, "AWS::Lambda::EventSourceMapping").values():
        queue = mapping["EventSourceArn"]["Fn::GetAtt"][0]
        function = mapping["FunctionName"]["Ref"].removesuffix("Aliaslive")
        yield queue, properties(template, "AWS::SQS::Queue")[queue], mapping, function


def queues_with_wrong_delivery_settings(template):
    """Name queues whose messages can be lost, or be delivered again during processing."""
    receives = {"UploadsQueue": 5, "PromoteQueue": 100}
    found = []
    for name, queue, mapping, function in queue_mappings(template):
        redrive = queue.get("RedrivePolicy", {})
        dead_letters = redrive.get("deadLetterTargetArn", {}).get("Fn::GetAtt", [None])[0]
        config = properties(template, "AWS::Lambda::Function")[function]
        kept = [
            queue.get("MessageRetentionPeriod"),
            template["Resources"].get(dead_letters, {}).get("Properties", {}).get("MessageRetentionPeriod"),
        ]
        variables = config["Environment"]["Variables"]
        if (
            redrive.get("maxReceiveCount") != receives[name]
            or variables.get("MAX_RECEIVES", receives[name]) != receives[name]
            or variables.get("DEAD_LETTERS_URL", {"Ref": dead_letters}) != {"Ref": dead_letters}
            or queue.get("VisibilityTimeout", 30) < 6 * config["Timeout"]
            or mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]
            or kept != [1209600, 1209600]
        ):
            found.append(name)
    return found + sorted(receives.keys() - {name for name, *_ in queue_mappings(template)})


def queue_functions_without_max_concurrency(template):
    return [
        f for _, _, m, f in queue_mappings(template) if "MaximumConcurrency" not in m.get("ScalingConfig", {})
    ]


def queues_without_encryption_or_tls(template):
    """Name queues that are not encrypted, or that accept plain HTTP."""
    deny = {
        queue["Ref"]
        for p in properties(template, "AWS::SQS::QueuePolicy").values()
        for queue in p["Queues"]
        for statement in p["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and (statement["Principal"], statement["Action"]) == ("*", "sqs:*")
        and str(statement["Condition"]["Bool"]["aws:SecureTransport"]).lower() == "false"
    }
    return [
        n
        for n, p in properties(template, "AWS::SQS::Queue").items()
        if p.get("SqsManagedSseEnabled") is not True or n not in deny
    ]


def open_queue_statements(template):
    """Name statements that let others than this account's S3 and the stack's rules send to a queue."""
    allowed = [
        statement
        for p in properties(template, "AWS::SQS::QueuePolicy").values()
        for statement in p["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    rules = {str({"Fn::GetAtt": [name, "Arn"]}) for name in of_type(template, "AWS::Events::Rule")}

    def is_ours(principal, condition):
        if principal == "events.amazonaws.com":
            named = condition.get("ArnEquals", {}).get("aws:SourceArn", "nobody")
            return {str(one) for one in (named if isinstance(named, list) else [named])} <= rules
        account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        return principal == "s3.amazonaws.com" and condition == account

    return [
        s
        for s in allowed
        if s["Action"] != "sqs:SendMessage"
        or "Service" not in s["Principal"]
        or not is_ours(s["Principal"]["Service"], s.get("Condition", {}))
    ]


def wrong_upload_notifications(template):
    """Name buckets without exactly one notification of every new object, whatever its key."""
    bucket = properties(template, "AWS::S3::Bucket")["UploadsBucket"]
    wanted = [{"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["UploadsQueue", "Arn"]}}]
    configurations = bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
    return [] if configurations == wanted else [configurations]


def buckets_with_loops(template):
    """Name buckets other than the uploads' that send notifications: a result must not be processed as an upload."""
    buckets = properties(template, "AWS::S3::Bucket")
    return [n for n, p in buckets.items() if n != "UploadsBucket" and "NotificationConfiguration" in p]


def missing_upload_expiry(template):
    bucket = properties(template, "AWS::S3::Bucket")["UploadsBucket"]
    rules = [r for r in bucket["LifecycleConfiguration"]["Rules"] if r["Status"] == "Enabled"]
    ends = {
        key
        for rule in rules
        for key, wanted in (
            ("ExpirationInDays", {"Ref": "UploadsDays"}),
            ("NoncurrentVersionExpiration", {"NoncurrentDays": 1}),
        )
        if rule.get(key) == wanted and "Prefix" not in rule
    }
    return sorted({"ExpirationInDays", "NoncurrentVersionExpiration"} - ends)


def missing_training_picture_expiry(template):
    """Name prefixes of the models bucket where pictures stay longer than docs/training.md says."""
    wanted = {("pictures/", None), ("training/prepared/", 7)}
    rules = template["Resources"]["ModelsBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    found = {
        (rule.get("Prefix"), rule.get("ExpirationInDays"))
        for rule in rules
        if rule["Status"] == "Enabled" and rule.get("NoncurrentVersionExpiration") == {"NoncurrentDays": 1}
    }
    return sorted(prefix for prefix, _ in wanted - found)


def queues_without_alarms(template):
    """Name queues without alarms on dead letters, waiting messages and failures of their function."""
    watched = {
        (a["MetricName"], str(d["Value"]))
        for a in properties(template, "AWS::CloudWatch::Alarm").values()
        if "MetricName" in a and len(a.get("Dimensions", [])) == 1
        for d in a["Dimensions"]
    }
    wanted = set()
    for name, queue, _, function in queue_mappings(template):
        dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        wanted |= {
            ("ApproximateNumberOfMessagesVisible", str({"Fn::GetAtt": [dead_letters, "QueueName"]})),
            ("Errors", str({"Ref": function})),
        }
        if name != "PromoteQueue":  # where to wait for hours is what messages are for
            wanted.add(("ApproximateAgeOfOldestMessage", str({"Fn::GetAtt": [name, "QueueName"]})))
    return sorted(wanted - watched)


def missing_scaling_policies(template):
    """Name missing and other policies than these: one only scales out, the other scales in where there is no data."""
    found = {
        (
            policy["TargetTrackingScalingPolicyConfiguration"].get("DisableScaleIn", False),
            "FILL(utilization, 0)" in json.dumps(policy),
        )
        for policy in properties(template, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
    }
    return sorted(found ^ {(True, False), (False, True)})


def traced_resources(template):
    """Name what sends X-Ray traces or may: they cost more than the pictures, and those of the API name callers."""
    off = {
        "AWS::ApiGateway::Stage": ("TracingEnabled", False),
        "AWS::Lambda::Function": ("TracingConfig", {"Mode": "PassThrough"}),
        "AWS::StepFunctions::StateMachine": ("TracingConfiguration", {"Enabled": False}),
    }
    return [
        name
        for kind, (key, value) in off.items()
        for name, found in properties(template, kind).items()
        if found.get(key) != value
    ] + [name for name, resource in template["Resources"].items() if "xray:" in json.dumps(resource)]


def operations(template):
    (api,) = properties(template, "AWS::ApiGateway::RestApi").values()
    for path, item in api["Body"]["paths"].items():
        for method, operation in item.items():
            if method != "options":  # a browser asks these before, without a key
                yield path, method, operation


def paid_routes_without_a_key(template):
    return [
        (path, method)
        for path, method, operation in operations(template)
        if path not in OPEN_ROUTES and operation.get("security") != [{"apiKey": []}]
    ]


def open_routes_with_a_key(template):
    return [
        (p, m) for p, m, operation in operations(template) if p in OPEN_ROUTES and operation.get("security")
    ]


def usage_plans_without_limits(template):
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


def routes_with_the_wrong_throttle(template):
    """Name routes without a key that allow many requests, and routes with a key that allow few."""
    (stage,) = properties(template, "AWS::ApiGateway::Stage").values()
    throttles = {
        (s["ResourcePath"].replace("~1", "/").replace("//", "/"), s["HttpMethod"].lower()): s[
            "ThrottlingRateLimit"
        ]
        for s in stage["MethodSettings"]
    }
    most = {"/health": 2, "/docs": 2}
    wrong = []
    for path, method, _ in operations(template):
        verb = method.replace("x-amazon-apigateway-any-method", "any")
        rate = throttles.get((path, verb), throttles["/*", "*"])
        served = path not in OPEN_ROUTES and verb != "any"  # of the others, a function only answers 405
        if served != (rate == {"Ref": "ThrottleRate"}) or (not served and rate > most.get(path, 20)):
            wrong.append((path, verb))
    return wrong


def stages_with_method_metrics(template):
    """Name stages with metrics for each method, each billed as a custom metric."""
    stages = properties(template, "AWS::ApiGateway::Stage")
    return [n for n, p in stages.items() if any(s.get("MetricsEnabled") for s in p["MethodSettings"])]


def personal_fields_in_access_logs(template):
    formats = [
        p["AccessLogSetting"]["Format"] for p in properties(template, "AWS::ApiGateway::Stage").values()
    ]
    return [w for f in formats for w in ("sourceIp", "userAgent", 'identity.apiKey"') if w in f]


def integrations_without_alias(template):
    return [
        (path, method)
        for path, method, operation in operations(template)
        if "Aliaslive}/invocations" not in operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    ]


def routes_without_invoke_permission(template):
    """Name routes whose function API Gateway has no permission to call through the alias."""
    allowed = {
        (p["FunctionName"]["Ref"], p["SourceArn"]["Fn::Sub"][0].partition("/${__Stage__}/*")[2])
        for p in properties(template, "AWS::Lambda::Permission").values()
        if p["Principal"] == "apigateway.amazonaws.com"
    }
    return [
        (path, method)
        for path, method, operation in operations(template)
        if not any(
            f"${{{alias}}}" in operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            and route == re.sub(r"\{.*?\}", "*", path)
            for alias, route in allowed
        )
    ]


def aliases_without_codedeploy(template):
    return [
        n
        for n, r in of_type(template, "AWS::Lambda::Alias").items()
        if "CodeDeployLambdaAliasUpdate" not in r.get("UpdatePolicy", {})
    ]


def wrong_deployments_of_the_page(template):
    """Name deployments in which page and scripts are of two releases, or with alarms, which could only block them."""
    group = template["Resources"]["PortalFunctionDeploymentGroup"]["Properties"]
    at_once = group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "AllAtOnce"}
    # CloudFormation removes the alarms of an earlier template only if the configuration is there and empty.
    return [] if at_once and group.get("AlarmConfiguration") == {} else ["PortalFunctionDeploymentGroup"]


def missing_rollback_alarms(template):
    """Name alarms of a release that do not roll it back, and deployments without the required alarms."""
    groups = properties(template, "AWS::CodeDeploy::DeploymentGroup")
    wired = {name: rollback_alarms(group) for name, group in groups.items()}
    idle = [
        n
        for n, alarm in properties(template, "AWS::CloudWatch::Alarm").items()
        if n not in set(itertools.chain(*wired.values()))
        and (metric(alarm)[1] or metric(alarm)[2])
        and "DatapointsToAlarm" not in alarm  # it looks back for hours, and would block the fix
    ]
    deaf = [
        n
        for n, p in groups.items()
        if "DEPLOYMENT_STOP_ON_ALARM" not in p.get("AutoRollbackConfiguration", {}).get("Events", [])
    ]
    alarms = properties(template, "AWS::CloudWatch::Alarm")
    versions = {("Errors", True), ("Failures", True)}
    needed = {
        "PredictFunctionDeploymentGroup": versions
        | {("Duration", False), ("Throttles", False), ("5XXError", False)},
        "BatchFunctionDeploymentGroup": versions,
    }
    missing = [
        (name, what)
        for name, wanted in needed.items()
        for what in wanted - set(itertools.chain(*(watched(alarms[n]) for n in wired.get(name, ()))))
    ]
    return idle + deaf + missing


def rollback_alarms(group, *, fixing=False):
    """Return the names of the alarms that roll a deployment back, by default or with RollbackAlarms=version."""
    configuration = group.get("AlarmConfiguration", {})
    if "Fn::If" in configuration:
        _, when_fixing, normally = configuration["Fn::If"]
        configuration = when_fixing if fixing else normally
    return [alarm["Name"]["Ref"] for alarm in configuration.get("Alarms", [])]


def alarms_that_block_a_fix(template):
    """Name alarms that can be on before a deployment begins, and that no parameter can exclude."""
    alarms = properties(template, "AWS::CloudWatch::Alarm")
    return [
        name
        for n, group in properties(template, "AWS::CodeDeploy::DeploymentGroup").items()
        if n != "PortalFunctionDeploymentGroup"
        for name in rollback_alarms(group, fixing=True) or ["no alarm at all"]
        if name not in alarms or not all(of_version for _, of_version in watched(alarms[name]))
    ]


def watched(alarm):
    """Return the metrics of an alarm, each with whether it is limited to one version."""
    queries = [q["MetricStat"]["Metric"] for q in alarm.get("Metrics", []) if "MetricStat" in q] or [alarm]
    return {
        (q["MetricName"], bool({d["Name"] for d in q.get("Dimensions", [])} & {"ExecutedVersion", "version"}))
        for q in queries
    }


def metric(alarm):
    """Return an alarm's metric, whether it is limited to the executed version, and whether it concerns a release."""
    queries = [q["MetricStat"]["Metric"] for q in alarm.get("Metrics", []) if "MetricStat" in q] or [alarm]
    dimensions = {d["Name"] for d in queries[0].get("Dimensions", [])}
    return queries[0]["MetricName"], "ExecutedVersion" in dimensions, bool(dimensions & {"Resource", "Stage"})


def aliases_without_preflight(template):
    """Name aliases that get traffic without the preflight hook."""
    return [
        n
        for n, r in of_type(template, "AWS::Lambda::Alias").items()
        if r["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"].get("BeforeAllowTrafficHook")
        != {"Ref": "Preflight"}
    ]


def functions_unknown_to_preflight(template):
    """Name published functions whose deployment group or version the hook does not know."""
    variables = template["Resources"]["Preflight"]["Properties"]["Environment"]["Variables"]
    known = str([variables.get(name) for name in ("PREDICT", "BATCH", "PORTAL")])
    return [
        name
        for name in properties(template, "AWS::CodeDeploy::DeploymentGroup")
        if name not in known or f"{name.removesuffix('DeploymentGroup')}Version" not in known
    ]


def description(version):
    """Return a version's description, with the name of a parameter in the place of its checksum."""
    text = version["Description"]["Fn::Sub"]
    text, variables = (text, {}) if isinstance(text, str) else text
    for name, value in variables.items():
        (uri,) = re.findall(r"'(\$\{\w+\})#'", str(value))
        assert value == {"Fn::Select": [1, {"Fn::Split": ["#", {"Fn::Sub": f"{uri}#"}]}]}
        text = text.replace(f"${{{name}}}", uri)
    return text


def settings_missing_from_version_description(template):
    """Name settings that can change without a new version, and so without a canary."""
    functions = properties(template, "AWS::Lambda::Function")
    found = []
    for version in properties(template, "AWS::Lambda::Version").values():
        function = functions[version["FunctionName"]["Ref"]]
        described = description(version).split()
        settings = [
            function["MemorySize"],
            function["Timeout"],
            *function["Environment"]["Variables"].values(),
        ]
        for setting in settings:
            if (
                isinstance(setting, int) and str(setting) not in described and setting != 5
            ):  # the queue's receives
                found.append(setting)
            elif isinstance(setting, dict) and setting.get("Ref") in template["Parameters"]:
                found += [setting["Ref"]] if f"${{{setting['Ref']}}}" not in described else []
    return found


def unpublishable_version_descriptions(template):
    """Name parts of a version's description that do not change the version, which Lambda refuses to publish."""
    functions = properties(template, "AWS::Lambda::Function")
    found = []
    for version in properties(template, "AWS::Lambda::Version").values():
        function = functions[version["FunctionName"]["Ref"]]
        of_function = ("ReservedConcurrentExecutions", "Tags")  # and of none of its versions
        held = str({key: value for key, value in function.items() if key not in of_function})
        held += str(template["Conditions"]["HasSnapStart"])
        names = re.findall(r"\$\{(\w+)\}", description(version))
        found += [n for n in names if f"{{'Ref': '{n}'}}" not in held]
    return found


def too_long_version_descriptions(template):
    """Name versions whose description may exceed Lambda's limit of 256 characters."""
    parameters = template["Parameters"]

    def longest(name):
        parameter = parameters[name]
        if "MaxLength" in parameter:
            return parameter["MaxLength"]
        if "[0-9a-f]{64}" in parameter.get("AllowedPattern", ""):
            return 64
        highest = [parameter["MaxValue"]] if "MaxValue" in parameter else []
        return max(len(str(value)) for value in parameter.get("AllowedValues", highest) or ["x" * 257])

    return [
        n
        for n, p in properties(template, "AWS::Lambda::Version").items()
        if len(re.sub(r"\$\{(\w+)\}", lambda m: longest(m[1]) * "x", description(p))) > 256
    ]


def fixed_names(template):
    """Name resources whose names a second stack of the account would also use."""
    keys = (
        "BucketName", "StateMachineName", "FunctionName", "RoleName", "LogGroupName", "AlarmName", "Name",
        "UsagePlanName", "DeliveryStreamName", "DashboardName", "TopicName", "QueueName", "DatabaseInput",
    )  # fmt: skip
    owned = {
        "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::IAM::Role", "AWS::Logs::LogGroup",
        "AWS::CloudWatch::Alarm", "AWS::ApiGateway::ApiKey", "AWS::ApiGateway::UsagePlan",
        "AWS::ApiGateway::RestApi", "AWS::StepFunctions::StateMachine", "AWS::KinesisFirehose::DeliveryStream",
        "AWS::CloudWatch::Dashboard", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::Glue::Database",
        "AWS::Scheduler::Schedule",
    }  # fmt: skip
    return [
        (n, key)
        for n, r in template["Resources"].items()
        for key in keys
        if r["Type"] in owned
        and key in r.get("Properties", {})
        and not re.search("AWS::Stack(Name|Id)", str(r["Properties"][key]))
    ]


def gateway_responses_without_problem_document(template):
    (api,) = properties(template, "AWS::ApiGateway::RestApi").values()
    responses = api["Body"]["x-amazon-apigateway-gateway-responses"]
    needed = {
        "INVALID_API_KEY": 403, "MISSING_AUTHENTICATION_TOKEN": 404, "REQUEST_TOO_LARGE": 413, "THROTTLED": 429,
        "QUOTA_EXCEEDED": 429, "DEFAULT_4XX": 400, "DEFAULT_5XX": 500, "INTEGRATION_TIMEOUT": 504,
    }  # fmt: skip
    headers = {
        "gatewayresponse.header.Content-Type": "'application/problem+json'",
        "gatewayresponse.header.Cache-Control": "'no-store'",
        "gatewayresponse.header.X-Content-Type-Options": "'nosniff'",
        "gatewayresponse.header.Access-Control-Allow-Origin": {"Fn::Sub": "'${CorsOrigin}'"},
    }
    return [
        name
        for name, status in needed.items()
        if responses.get(name, {}).get("statusCode") != status
        or responses[name]["responseParameters"] != headers
    ] + ([] if "POST /uploads" in str(responses["REQUEST_TOO_LARGE"]) else ["no other way to upload"])


def blocks_that_no_script_can_read(template):
    allow = {"Name": "access-control-allow-origin", "Value": {"Ref": "CorsOrigin"}}
    return [
        rule["Name"]
        for acl in properties(template, "AWS::WAFv2::WebACL").values()
        for rule in acl["Rules"]
        if allow not in rule["Action"]["Block"]["CustomResponse"].get("ResponseHeaders", [])
    ]


def drop(*path):
    """Return `path`, and a change to a template that deletes the element there."""
    return path, lambda template: reduce(getitem, path[:-1], template).pop(path[-1])


def put(value, *path):
    """Return `path`, and a change to a template that sets the element there."""
    return path, lambda template: setitem(reduce(getitem, path[:-1], template), path[-1], value)


def of(name, *path):
    """Return the path of a resource's property."""
    return ("Resources", name, "Properties", *path)


def policy_of(name):
    """Return the path of the statements of a role's first policy."""
    return of(name, "Policies", 0, "PolicyDocument", "Statement")


BUCKET = ("Resources", "ModelsBucket")
PREDICT = of("PredictFunction")
MODEL_POLICY = (*policy_of("PredictRole"), 1)
PORTAL = policy_of("PortalRole")
BACKFILL = policy_of("BackfillRole")
BATCH_ROLE = policy_of("BatchRole")
DRIFT_ROLE = policy_of("DriftRole")
ALERTS_ROLE = policy_of("AlertsRole")
PROMOTE_ROLE = policy_of("PromoteRole")
RETRAIN_ROLE = policy_of("RetrainRole")
RECORDS_ROLE = policy_of("RecordsWriterRole")
SENDER_ROLE = policy_of("RecordsSenderRole")
SCHEDULE_ROLE = policy_of("DriftScheduleRole")
UPLOADS = of("UploadsBucket")
QUEUE = of("UploadsQueue")
DEAD_LETTERS = of("UploadsDeadLetters")
BATCH = of("BatchFunction")
TRACKING = ("Properties", "TargetTrackingScalingPolicyConfiguration")
MAPPING = (*BATCH, "Events", "Uploads", "Properties")
SENDERS = of("UploadsQueuePolicy", "PolicyDocument", "Statement")
STREAM = of("RecordsStream")
SUBSCRIPTION = of("PredictRecords")
INSIGHTS = of("InsightsBucket")
RECORDS = of("RecordsBucket")
SCHEDULE = of("DriftSchedule")
DRIFT = of("DriftFunction")
TOPIC = of("AlarmsTopic")
KEY = of("AlarmsKey")
UNWELL = of("UnwellAlarm")
DESTINATION = (*STREAM, "ExtendedS3DestinationConfiguration")
TABLE = of("RecordsTable", "TableInput")
PUBLISHERS = of("AlarmsTopicPolicy", "PolicyDocument", "Statement")
API = of("Api")
PAGE_DEPLOYMENT = of("PortalFunction", "DeploymentPreference")
HOOK = of("Preflight", "Environment", "Variables")
BODY = (*API, "DefinitionBody")
ANOTHER_ALIAS = {"Fn::Sub": "arn:aws:lambda:path/functions/${PredictFunction.Arn}/invocations"}
RULES = [
    (unencrypted_buckets, drop(*BUCKET, "Properties", "BucketEncryption")),
    (public_buckets, drop(*BUCKET, "Properties", "PublicAccessBlockConfiguration")),
    (public_buckets, put("false", *BUCKET, "Properties", "PublicAccessBlockConfiguration", "BlockPublicAcls")),
    (buckets_without_tls_policy, drop("Resources", "ModelsBucketPolicy")),
    (buckets_without_tls_policy, put("Allow", "Resources", "ModelsBucketPolicy", "Properties", "PolicyDocument",
                                       "Statement", 0, "Effect")),
    (buckets_deleted_with_the_stack, drop(*BUCKET, "DeletionPolicy")),
    (buckets_deleted_with_the_stack, put("Delete", *BUCKET, "UpdateReplacePolicy")),
    (kept_versions, drop(*PREDICT, "VersionDeletionPolicy")),
    (kept_versions, drop("Resources", "PortalFunction", "Properties", "VersionDeletionPolicy")),
    (log_groups_without_retention, drop("Resources", "PredictLogs", "Properties", "RetentionInDays")),
    (functions_without_own_log_group, drop(*PREDICT, "LoggingConfig")),
    (functions_without_own_log_group, put({"Ref": "PortalLogs"}, *PREDICT, "LoggingConfig", "LogGroup")),
    (shared_or_missing_roles, put({"Fn::GetAtt": ["PortalRole", "Arn"]}, *PREDICT, "Role")),
    (statements_with_wildcards, put("s3:*", *MODEL_POLICY, "Action")),
    (statements_with_wildcards, put("*", *MODEL_POLICY, "Resource")),
    (functions_with_managed_policies,
     put(["AmazonS3FullAccess"], "Resources", "PredictRole", "Properties", "ManagedPolicyArns")),
    (wrong_permissions,
     put({"Fn::Sub": "${UploadsBucket.Arn}/*"}, *PORTAL, 1, "Resource")),
    (wrong_permissions,
     put("s3:DeleteObject", *PORTAL, 2, "Action")),
    (wrong_permissions, drop(*PORTAL, 4)),
    (private_results_readable_by_clients, drop(*PORTAL, 3)),
    (private_results_readable_by_clients, drop(*PORTAL, 3, "Resource", 1)),
    (wrong_backfill_permissions,
     put({"Fn::Sub": "${UploadsBucket.Arn}/*"}, *BACKFILL, 1, "Resource")),
    (wrong_backfill_permissions,
     put({"Ref": "PredictFunction.Alias"}, *BACKFILL, 2, "Resource")),
    (traced_resources, put({"Enabled": True}, "Resources", "Backfill", "Properties", "TracingConfiguration")),
    (traced_resources, drop("Resources", "Backfill", "Properties", "TracingConfiguration")),
    (wrong_permissions,
     put("s3:DeleteObject", *BATCH_ROLE, 3, "Action")),
    (wrong_permissions, drop(*BATCH_ROLE, 6)),
    (wrong_permissions,
     put({"Fn::Sub": "${ModelsBucket.Arn}/*"}, *BATCH_ROLE, 5, "Resource")),
    (queues_with_wrong_delivery_settings, drop(*QUEUE, "RedrivePolicy")),
    (queues_with_wrong_delivery_settings, put(1, *QUEUE, "RedrivePolicy", "maxReceiveCount")),
    (queues_with_wrong_delivery_settings, put(4, *BATCH, "Environment", "Variables", "MAX_RECEIVES")),
    (queues_with_wrong_delivery_settings,
     put({"Ref": "UploadsQueue"}, *BATCH, "Environment", "Variables", "DEAD_LETTERS_URL")),
    (queues_with_wrong_delivery_settings, drop(*QUEUE, "VisibilityTimeout")),
    (queues_with_wrong_delivery_settings, put(61, *BATCH, "Timeout")),
    (queues_with_wrong_delivery_settings, drop(*MAPPING, "FunctionResponseTypes")),
    (queues_with_wrong_delivery_settings, drop(*DEAD_LETTERS, "MessageRetentionPeriod")),
    (queues_with_wrong_delivery_settings, drop(*BATCH, "Events")),
    (queue_functions_without_max_concurrency, drop(*MAPPING, "ScalingConfig")),
    (queues_without_encryption_or_tls, drop(*QUEUE, "SqsManagedSseEnabled")),
    (queues_without_encryption_or_tls, drop("Resources", "DeadLettersPolicy")),
    (queues_without_encryption_or_tls, put("Allow", *SENDERS, 1, "Effect")),
    (open_queue_statements, put("*", *SENDERS, 0, "Principal")),
    (open_queue_statements, drop(*SENDERS, 0, "Condition")),
    (wrong_upload_notifications, drop(*UPLOADS, "NotificationConfiguration")),
    (wrong_upload_notifications,
     put({"S3Key": {"Rules": [{"Name": "suffix", "Value": ".jpg"}]}},
         *UPLOADS, "NotificationConfiguration", "QueueConfigurations", 0, "Filter")),
    (buckets_with_loops, put({}, "Resources", "ResultsBucket", "Properties", "NotificationConfiguration")),
    (rules_of_markers_alone,
     drop(*UPLOADS, "LifecycleConfiguration", "Rules", 1, "AbortIncompleteMultipartUpload")),
    (missing_upload_expiry, drop(*UPLOADS, "LifecycleConfiguration", "Rules", 0)),
    (missing_upload_expiry, put("Disabled", *UPLOADS, "LifecycleConfiguration", "Rules", 0, "Status")),
    (missing_training_picture_expiry, drop(*BUCKET, "Properties", "LifecycleConfiguration", "Rules", 1)),
    (missing_training_picture_expiry,
     put(90, *BUCKET, "Properties", "LifecycleConfiguration", "Rules", 2, "ExpirationInDays")),
    (queues_without_alarms, drop("Resources", "UploadsDeadLettersAlarm")),
    (queues_without_alarms, drop("Resources", "UploadsAgeAlarm")),
    (queues_without_alarms, drop("Resources", "BatchErrorsAlarm")),
    (wrong_permissions,
     put({"Fn::Sub": "${InsightsBucket.Arn}/*"}, *PORTAL, 5, "Resource")),
    (wrong_permissions,
     put({"Fn::Sub": "${InsightsBucket.Arn}/*"}, *DRIFT_ROLE, 3, "Resource")),
    (wrong_permissions, put({"Fn::Sub": "${RecordsBucket.Arn}/*"}, *DRIFT_ROLE, 1, "Resource", 0)),
    (wrong_permissions, drop(*DRIFT_ROLE, 2)),
    (wrong_permissions, drop(*ALERTS_ROLE, 4)),
    (wrong_permissions,
     put({"Fn::Sub": "${ModelsBucket.Arn}/*"}, *ALERTS_ROLE, 2, "Resource")),
    (wrong_permissions,
     put({"Fn::Sub": "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/*"},
         *PROMOTE_ROLE, 6, "Resource")),
    (wrong_permissions, put("*", *PROMOTE_ROLE, 8, "Resource")),
    (wrong_permissions, put("*", *RETRAIN_ROLE, 1, "Resource")),
    (queues_with_wrong_delivery_settings,
     put(5, "Resources", "PromoteQueue", "Properties", "RedrivePolicy", "maxReceiveCount")),
    (queues_without_alarms, drop("Resources", "PromoteDeadLettersAlarm")),
    (open_queue_statements,
     drop("Resources", "PromoteQueuePolicy", "Properties", "PolicyDocument", "Statement", 0, "Condition")),
    (wrong_permissions,
     put({"Fn::GetAtt": ["PredictFunction", "Arn"]}, *SCHEDULE_ROLE, 0, "Resource")),
    (wrong_permissions,
     put({"Fn::Sub": "${ModelsBucket.Arn}/*"}, *RECORDS_ROLE, 0, "Resource")),
    (wrong_permissions,
     put("firehose:DeleteDeliveryStream", *SENDER_ROLE, 0, "Action", 0)),
    (roles_open_to_other_accounts, drop("Resources", "RecordsSenderRole", "Properties", "AssumeRolePolicyDocument",
                                    "Statement", 0, "Condition")),
    (roles_open_to_other_accounts, drop("Resources", "DriftScheduleRole", "Properties", "AssumeRolePolicyDocument",
                                    "Statement", 0, "Condition")),
    (wrong_log_subscriptions, drop("Resources", "BatchRecords")),
    (wrong_log_subscriptions, put("", *SUBSCRIPTION, "FilterPattern")),
    (wrong_log_subscriptions, put({"Ref": "ApiAccessLogs"}, *SUBSCRIPTION, "LogGroupName")),
    (streams_with_wrong_processing, drop(*DESTINATION, "ProcessingConfiguration", "Processors", 2)),
    (streams_with_wrong_processing, put("false", *DESTINATION, "ProcessingConfiguration", "Enabled")),
    (streams_with_wrong_processing, put("records/", *DESTINATION, "Prefix")),
    (streams_with_wrong_processing, put("UNCOMPRESSED", *DESTINATION, "CompressionFormat")),
    (streams_with_wrong_processing, drop(*DESTINATION, "ErrorOutputPrefix")),
    (streams_with_wrong_processing, drop(*DESTINATION, "CloudWatchLoggingOptions")),
    (streams_with_wrong_processing, drop(*STREAM, "DeliveryStreamEncryptionConfigurationInput")),
    (tables_with_wrong_partitions, put("2026-01-01,NOW", *TABLE, "Parameters", "projection.dt.range")),
    (tables_with_wrong_partitions, put("s3://bucket/", *TABLE, "Parameters", "storage.location.template")),
    (tables_with_wrong_partitions, put([], *TABLE, "PartitionKeys")),
    (wrong_retentions, drop(*RECORDS, "LifecycleConfiguration", "Rules", 0)),
    (wrong_retentions, put(99999, *RECORDS, "LifecycleConfiguration", "Rules", 0, "ExpirationInDays")),
    (wrong_retentions, put("Disabled", *INSIGHTS, "LifecycleConfiguration", "Rules", 0, "Status")),
    (wrong_retentions, drop(*INSIGHTS, "LifecycleConfiguration", "Rules", 2)),
    (wrong_retentions,
     drop("Resources", "ResultsBucket", "Properties", "LifecycleConfiguration", "Rules", 2, "ExpirationInDays")),
    (schedules_without_failure_alarm, drop(*SCHEDULE, "Target", "DeadLetterConfig")),
    (schedules_without_failure_alarm, drop(*SCHEDULE, "Target", "RetryPolicy")),
    (schedules_without_failure_alarm, drop(*DRIFT, "DeadLetterQueue")),
    (schedules_without_failure_alarm, drop("Resources", "DriftDeadLettersAlarm")),
    (queues_without_encryption_or_tls, drop("Resources", "DeadLettersPolicy", "Properties", "Queues", 1)),
    (alarms_with_wrong_missing_data_rule,
     put("notBreaching", "Resources", "DriftMissingAlarm", "Properties", "TreatMissingData")),
    (alarms_with_wrong_missing_data_rule, drop("Resources", "AccuracyAlarm", "Properties", "TreatMissingData")),
    (alarms_with_wrong_actions, drop("Resources", "DriftAlarm", "Properties", "AlarmActions")),
    (alarms_with_wrong_actions, drop("Resources", "UploadsAgeAlarm", "Properties", "OKActions")),
    (alarms_with_wrong_actions,
     put([{"Ref": "AlarmsKey"}], "Resources", "RecordsMissingAlarm", "Properties", "AlarmActions")),
    (wrong_members_of_unwell_alarm, drop(*UNWELL, "AlarmRule", "Fn::Join", 1, 3)),
    (missing_alarm_topic_permissions, put("alias/aws/sns", *TOPIC, "KmsMasterKeyId")),
    (missing_alarm_topic_permissions, drop(*KEY, "KeyPolicy", "Statement", 1)),
    (missing_alarm_topic_permissions, drop(*PUBLISHERS, 0)),
    (open_alarm_topic_statements, put("*", *PUBLISHERS, 0, "Principal")),
    (open_alarm_topic_statements, drop(*PUBLISHERS, 1)),
    (unencrypted_buckets, drop(*RECORDS, "BucketEncryption")),
    (public_buckets, drop(*INSIGHTS, "PublicAccessBlockConfiguration")),
    (buckets_without_tls_policy, drop("Resources", "RecordsBucketPolicy")),
    (buckets_deleted_with_the_stack, put("Delete", "Resources", "InsightsBucket", "DeletionPolicy")),
    (routes_without_invoke_permission, drop("Resources", "PortalFunction", "Properties", "Events", "Feedback")),
    (missing_scaling_policies, drop("Resources", "PredictConcurrencyPolicy")),
    (missing_scaling_policies, drop("Resources", "PredictConcurrencyPolicy", *TRACKING, "DisableScaleIn")),
    (missing_scaling_policies,
     put("utilization", "Resources", "PredictScaleInPolicy", *TRACKING,
         "CustomizedMetricSpecification", "Metrics", 0, "Expression")),
    (traced_resources, drop("Globals", "Function", "Tracing")),
    (traced_resources, put("xray:PutTraceSegments", *MODEL_POLICY, "Action")),
    (server_errors_without_alarm_if_requests_are_rare, drop("Resources", "RepeatedServerErrorsAlarm")),
    (traced_resources, drop(*API, "TracingEnabled")),
    (paid_routes_without_a_key, drop(*BODY, "paths", "/predict", "post", "security")),
    (paid_routes_without_a_key, put({"get": {"x-amazon-apigateway-integration": {}}}, *BODY, "paths", "/new")),
    (open_routes_with_a_key, put([{"apiKey": []}], *BODY, "paths", "/health", "get", "security")),
    (usage_plans_without_limits, drop("Resources", "UsagePlan", "Properties", "Quota")),
    (usage_plans_without_limits, drop("Resources", "UsagePlan", "Properties", "Throttle")),
    (usage_plans_without_limits, drop("Resources", "UsagePlanKey")),
    (stages_without_access_logs_or_throttle, drop(*API, "AccessLogSetting")),
    (routes_with_the_wrong_throttle, drop(*API, "MethodSettings", 1)),
    (routes_with_the_wrong_throttle, drop(*API, "MethodSettings", 3)),
    (routes_with_the_wrong_throttle, drop(*API, "MethodSettings", 5)),
    (routes_with_the_wrong_throttle, put({"Ref": "ThrottleRate"}, *API, "MethodSettings", 0, "ThrottlingRateLimit")),
    (stages_with_method_metrics, put("true", *API, "MethodSettings", 0, "MetricsEnabled")),
    (personal_fields_in_access_logs, put("$context.identity.sourceIp", *API, "AccessLogSetting", "Format")),
    (integrations_without_alias,
     put(ANOTHER_ALIAS, *BODY, "paths", "/predict", "post", "x-amazon-apigateway-integration", "uri")),
    (routes_without_invoke_permission, drop(*PREDICT, "Events", "Health")),
    (aliases_without_codedeploy, drop(*PREDICT, "DeploymentPreference")),
    (wrong_deployments_of_the_page, put({"Ref": "DeploymentStrategy"}, *PAGE_DEPLOYMENT, "Type")),
    (wrong_deployments_of_the_page, put([{"Ref": "ApiServerErrorsAlarm"}], *PAGE_DEPLOYMENT, "Alarms")),
    (wrong_deployments_of_the_page, drop(*PAGE_DEPLOYMENT, "Alarms")),
    (missing_rollback_alarms, drop(*PREDICT, "DeploymentPreference", "Alarms", "Fn::If", 2, 0)),
    (missing_rollback_alarms, drop(*PREDICT, "DeploymentPreference", "Alarms", "Fn::If", 2, 3)),
    (missing_rollback_alarms, put([], *BATCH, "DeploymentPreference", "Alarms")),
    (missing_rollback_alarms, drop("Resources", "BatchVersionAlarm", "Properties", "Metrics", 2)),
    (missing_rollback_alarms,
     drop("Resources", "PredictVersionAlarm", "Properties", "Metrics", 1, "MetricStat", "Metric", "Dimensions", 2)),
    (alarms_that_block_a_fix,
     put([{"Ref": "ApiServerErrorsAlarm"}], *PREDICT, "DeploymentPreference", "Alarms", "Fn::If", 1)),
    (alarms_that_block_a_fix, put([{"Ref": "BatchErrorsAlarm"}], *BATCH, "DeploymentPreference", "Alarms")),
    (aliases_without_preflight, drop(*PREDICT, "DeploymentPreference", "Hooks")),
    (aliases_without_preflight, drop(*BATCH, "DeploymentPreference", "Hooks")),
    (aliases_without_preflight, drop(*PAGE_DEPLOYMENT, "Hooks")),
    (functions_unknown_to_preflight, drop(*HOOK, "BATCH")),
    (functions_unknown_to_preflight, put({"Ref": "PredictFunction.Version"}, *HOOK, "PORTAL", "Fn::Join", 1, 1)),
    (settings_missing_from_version_description, put({"Fn::Sub": "${PredictMemory}"}, *PREDICT, "VersionDescription")),
    (settings_missing_from_version_description, put({"Fn::Sub": "${ModelUri}"}, *BATCH, "VersionDescription")),
    (settings_missing_from_version_description, put(61, *BATCH, "Timeout")),
    (unpublishable_version_descriptions,
     put({"Fn::Sub": "${ModelUri} ${ReservedConcurrency}"}, *PREDICT, "VersionDescription")),
    (too_long_version_descriptions, put({"Fn::Sub": 4 * "${ModelUri} "}, *PREDICT, "VersionDescription")),
    (too_long_version_descriptions, put({"Fn::Sub": "${PromotionRole}"}, *PREDICT, "VersionDescription")),
    (fixed_names, put("models", *BUCKET, "Properties", "BucketName")),
    (fixed_names, put("predict", *PREDICT, "FunctionName")),
    (fixed_names, put("records", *STREAM, "DeliveryStreamName")),
    (fixed_names, put({"Name": "records"}, "Resources", "RecordsDatabase", "Properties", "DatabaseInput")),
    (gateway_responses_without_problem_document,
     drop(*BODY, "x-amazon-apigateway-gateway-responses", "THROTTLED")),
    (gateway_responses_without_problem_document,
     drop(*BODY, "x-amazon-apigateway-gateway-responses", "INVALID_API_KEY", "responseParameters",
          "gatewayresponse.header.Access-Control-Allow-Origin")),
    (gateway_responses_without_problem_document,
     drop(*BODY, "x-amazon-apigateway-gateway-responses", "THROTTLED", "responseParameters",
          "gatewayresponse.header.Cache-Control")),
    (blocks_that_no_script_can_read,
     drop("Resources", "WebAcl", "Properties", "Rules", 0, "Action", "Block", "CustomResponse", "ResponseHeaders")),
]  # fmt: skip
CHECKS = list(dict.fromkeys(check for check, _ in RULES))


@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_there_are_no(check, transformed):
    assert check(transformed) == []


@pytest.mark.parametrize(
    ("check", "violation"), RULES, ids=[f"{check.__name__}-{n}" for n, (check, _) in enumerate(RULES)]
)
def test_a_violation_is_found(check, violation, source, transformed):
    (part, name, *_), change = violation
    passed_through = part == "Resources" and "::Serverless::" not in source[part][name]["Type"]
    broken = copy.deepcopy(transformed if passed_through else source)  # to transform takes long
    change(broken)

    assert check(broken if passed_through else transform(broken, {})) != []
