//! The built server beside a real kube-apiserver with a real etcd: objects are made as people make them, answers are asked for with
//! `dig`, and the API server and its etcd fare as they do in bad days. `make kube-test` runs this.

#![expect(clippy::print_stderr, reason = "tests report to people")]

mod access;
mod churn;
mod cluster;
mod dns;
mod fallback;
mod manifests;
mod outages;
mod records;
