DROP TABLE transport_beats;
DROP INDEX sms_routed_waiting;
