//! The stories a user could tell, each against the built binary: over HTTP and TCP only, on free ports, with a
//! database of its own. One file per story; `tests/black_box` starts and stops the processes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "../black_box/mod.rs"]
mod black_box;

mod accounts;
mod addresses;
mod amqp;
mod amqp_answers;
mod amqp_broker;
mod amqp_family;
mod asked_options;
mod backup;
mod bad_days;
mod bad_settings;
mod begun;
mod broadcasts;
mod callbacks;
mod clinic;
mod clock;
mod cluster;
mod connect;
mod connections;
mod consent;
mod conversations;
mod crash;
mod fairness;
mod health;
mod http_api;
mod http_campaigns;
mod http_provider;
mod http_ussd;
mod large_bodies;
mod levers;
mod limits;
mod listener;
mod menu_test;
mod middleware;
mod opera_webhooks;
mod order;
mod phone;
mod quotas;
mod received_list;
mod reports;
mod results;
mod roles;
mod routes_outwards;
mod seed_readme;
mod smpp;
mod smpp_peers;
mod smpp_processes;
mod smpp_server;
mod sms;
mod smsc;
mod strangers;
mod subscriber;
mod supervision;
mod timeline;
mod tls;
mod unknown_outcome;
mod upgrade;
mod ussd;
mod ussd_smpp;
mod webhook_access;
mod webhooks;
mod wrong_input;
