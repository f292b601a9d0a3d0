//! What `forebay explain` prints.
