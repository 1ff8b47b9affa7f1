ALTER TABLE callback_deliveries DROP COLUMN url;
