"""The Python client against the server that KUBECONFIG names."""

from kubernetes import client, config, watch

config.load_kube_config()
core = client.CoreV1Api()

made = core.create_namespaced_config_map(
    "default", client.V1ConfigMap(metadata=client.V1ObjectMeta(generate_name="py-"), data={"a": "b"})
)
name = made.metadata.name
seen = []
for event in watch.Watch().stream(
    core.list_namespaced_config_map,
    "default",
    field_selector=f"metadata.name={name}",
    resource_version="0",
    timeout_seconds=10,
):
    seen.append(event["type"])
    if event["type"] == "ADDED":
        core.patch_namespaced_config_map(name, "default", {"data": {"a": "c"}})
    elif event["type"] == "MODIFIED":
        core.delete_namespaced_config_map(name, "default")
    else:
        break
assert seen == ["ADDED", "MODIFIED", "DELETED"], seen

try:
    core.read_namespaced_config_map(name, "default")
    raise AssertionError("it is still there")
except client.ApiException as error:
    assert error.status == 404, error

stale = core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py-stale")))
core.patch_namespaced_config_map("py-stale", "default", {"data": {"x": "y"}})
try:
    core.replace_namespaced_config_map("py-stale", "default", stale)
    raise AssertionError("a stale resourceVersion was accepted")
except client.ApiException as error:
    assert error.status == 409, error

pages, token = 0, None
while True:
    page = core.list_config_map_for_all_namespaces(limit=1, _continue=token)
    pages += 1
    token = page.metadata._continue
    if not token:
        break
assert pages >= 2, pages
print("python client: ok")
