//! The lab: a real Kubernetes on one machine, without a cloud.
//!
//! The control plane is the real one (etcd, kube-apiserver, kube-controller-manager,
//! kube-scheduler, and kube-proxy on every node). Nodes are network namespaces on two bridges: the
//! LAN, where addresses are announced, and a management network for the API. The lab plays kubelet:
//! behind each ready pod is a process that answers with the pod's name. In the full lab kubelets are
//! real and pods are containers.
//!
//! The parts, from the outside inwards:
//!
//! 1. [`lab`]: the handle by which the command line and the tests bring a lab up, use it and take
//!    it down;
//! 2. [`keeper`]: the process that stands for a lab on the machine, and owns its folder;
//! 3. [`supervisor`]: the first process inside the lab's namespaces; when it ends, everything does;
//! 4. [`network`], [`control_plane`], [`kubelet`], [`product`]: what the supervisor builds and runs;
//!    in the full lab [`machine`] with [`cgroup`] and [`image`] instead of [`kubelet`];
//! 5. [`fault`], [`impairment`]: what can be done to nodes, and to their frames;
//! 6. [`cluster`]: what tests and the demo ask of a cluster, in their own words; [`inspection`]: what a
//!    running speaker tells by its own commands;
//! 7. [`probe`], [`pod`], [`proxy`], [`backend`]: the traffic, and who answers it; [`audit`]: what the
//!    product has written;
//! 8. [`demo`]: the story that `make demo` tells; [`bench`]: what is measured.
//!
//! [`binaries`] finds or builds Kubernetes; [`control`] is what the handle and the supervisor say to
//! each other; [`documents`] is what users are told to type; [`remains`] is what a lab has left behind.

pub mod audit;
pub mod backend;
pub mod bench;
pub mod binaries;
pub mod certificates;
pub mod cgroup;
pub mod cluster;
pub mod control;
pub mod control_plane;
pub mod demo;
pub mod documents;
pub mod error;
pub mod fault;
pub mod image;
pub mod impairment;
pub mod inspection;
pub mod keeper;
pub mod kubelet;
pub mod lab;
pub mod machine;
pub mod metrics;
pub mod network;
pub mod pod;
pub mod probe;
pub mod process;
pub mod product;
pub mod proxy;
pub mod remains;
pub mod supervisor;
pub mod system;

pub use error::{Error, Result};
pub use lab::{Lab, LabOptions};
