"""The texts around the generated rights."""

from __future__ import annotations

ROLE_HEAD = """\
# The rights of {what}.
# Written by `make catalogue` from what claims declare; `kubechain docs rights` says which claim needs which right.
# Another user or group than this ServiceAccount: change the subjects of the bindings.
"""
INTRODUCTION = """\
# Rights

Generated from what claims and fixtures declare, by `make catalogue`; `make lint` fails if it is stale.

A run creates the namespaces that it works in. RBAC cannot grant rights in namespaces that do not exist yet, so the rights are
for all namespaces (ClusterRoles). Only what the suite reads in kube-system alone is granted there (Roles). Whoever has one
namespace and no right outside of it runs `kubechain run --namespace NAME`: its rights are those of a Role there.

## Roles

| manifest | for |
|---|---|
| [rbac/run.yaml](rbac/run.yaml) | `kubechain run` at any level, without `--disruptive` |
| [rbac/namespace.yaml](rbac/namespace.yaml) | `kubechain run --namespace kubechain`, and `kubechain clean` there |
| [rbac/disruptive.yaml](rbac/disruptive.yaml) | `kubechain run --disruptive` |
| [rbac/upgrade.yaml](rbac/upgrade.yaml) | `kubechain upgrade before`, `during` and `after`, and `kubechain during` |
| [rbac/clean.yaml](rbac/clean.yaml) | `kubechain clean --context`, for example from a cron job |

Each holds a Namespace and a ServiceAccount `kubechain`, and the roles with their bindings. That of one namespace holds a
ServiceAccount, a Role and a RoleBinding in it, and no Namespace: `kubechain rights namespace --namespace NAME` prints it for
another one. `kubechain rights ROLE` prints the others. A user who may grant these rights applies one, and makes a kubeconfig with
a token:

```sh
kubechain rights run | kubectl apply -f -
kubectl config set-credentials kubechain --token "$(kubectl create token kubechain --namespace kubechain --duration 4h)"
kubectl config set-context kubechain --cluster NAME --user kubechain
kubechain run --context kubechain
```

A user who may impersonate the ServiceAccount needs no token: with `as: system:serviceaccount:kubechain:kubechain` in the user of
a kubeconfig, every request is sent as the ServiceAccount, and the rights that are checked are those of the ServiceAccount.

The roles do not hold what Kubernetes grants every authenticated user: access reviews of one's own (ClusterRole
`system:basic-user`), and `/version`, `/readyz` and the discovery of the API (`system:discovery`, `system:public-info-viewer`).

## What happens without a right

Before a run creates anything, it checks the rights that every claim needs, by SelfSubjectAccessReviews. If one is missing, the
run ends with exit code 18 and lists all that are missing. Before each claim it checks the rights of that claim. Without one of
them the claim is skipped, and the reason names the right (`needs the right to get pods/proxy`). A few parts of a run are left
out without their rights; the run goes on:

{parts}

## In one namespace

With `--namespace NAME` the rights of the table below are checked in NAME alone. A claim that needs another namespace, or two
chains at the same time, is skipped: `needs a namespace of its own (--namespace NAME)`. Rights to Nodes, and to list Services of
all namespaces, are not demanded: claims that need them are skipped, as above. In the place of the first rows of the table,
every claim needs these, because the objects of a run are found by their label and removed one by one:

| verbs | resource |
|---|---|
{inside}

With `--pull-secret` also `create, get, delete secrets`.

## Who needs which right

The first rows are what every claim needs. Ids of claims are those of the [catalogue](CATALOGUE.md). A claim whose id has (1)
needs the right only where this machine does not reach the addresses of the Nodes.

{table}
"""
