//! The product as its users have it: images, manifests and Helm, on real kubelets. `make test-full`.

mod cluster;
mod day;
mod helm;
mod lab;
mod nodes;
mod overlays;
mod product;
mod services;
