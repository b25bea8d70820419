"""Helm itself, as a library: the chart is linted, refuses what its schema refuses, and is rendered to
standard output, as JSON."""

import json
import os

from helm_python import chart

FULL = {
    "serving": {"enabled": True, "autoscaling": {"enabled": True}},
    "serviceMonitor": {"create": True, "labels": {"team": "x"}},
    "networkPolicy": {"clients": [{"podSelector": {}}], "admin": [{"namespaceSelector": {}}]},
    "image": {"pullSecrets": [{"name": "registry"}]},
    "service": {"type": "NodePort", "annotations": {"a": "b"}, "ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "team", "port": 8080, "targetPort": 8080}]},
    "extraArgs": ["--max-running=5"],
    "extraEnv": [{"name": "A", "value": "b"}],
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"a": "b"},
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "priorityClassName": "high",
    "region": "eu",
    "zone": "a",
    "ipv6": True,
}
REFUSED = [{"voters": 2}, {"replicas": 0}, {"typo": 1}, {"storage": {"size": "ten"}}, {"service": {"ports": []}}, {"service": {"ports": [{"name": "a", "port": 1, "targetPort": "clients"}]}}]
KINDS_OF_VALUES = {"default": {}, "full": FULL}


def main() -> None:
    path = os.environ["TEST_CHART"]
    for name, values in KINDS_OF_VALUES.items():
        report = chart.lint(path, values, strict=True)
        worst = max((message["severity"] for message in report["messages"]), default=0)
        assert worst < 2 and not report["errors"], f"{name}: {report}"
    with chart.Chart.load(path) as loaded:
        for values in REFUSED:
            try:
                loaded.validate_schema(values)
            except Exception:
                continue
            raise AssertionError(f"the schema takes {values}")
        rendered = loaded.render(KINDS_OF_VALUES[os.environ["TEST_VALUES"]], name="tg", namespace="default")
    texts = [text for template, text in rendered.items() if template.endswith(".yaml")]
    documents = [one for text in texts for one in f"\n{text}\n".split("\n---\n")]
    objects = [chart.values_from_yaml(one) for one in documents if "\nkind: " in one]
    print(json.dumps(objects))


main()
