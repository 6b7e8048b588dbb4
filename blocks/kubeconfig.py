"""The user's kubeconfig: which contexts it has."""


def read_contexts() -> tuple[str, ...]:
    """Names of the contexts; none where there is no kubeconfig, or none that can be read."""
    from kubernetes.config import ConfigException, list_kube_config_contexts

    try:
        contexts, _active = list_kube_config_contexts()  # type: ignore[no-untyped-call]  # the package has no types
    except ConfigException:
        return ()
    return tuple(context["name"] for context in contexts)
