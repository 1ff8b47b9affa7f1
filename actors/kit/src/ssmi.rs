//! SSMI, the line protocol TruTeq speaks, version 1.7.5: commands and their form on the wire.
