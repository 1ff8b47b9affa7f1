-- Where this one is posted: the SMS named a URL of its own. NULL: to the URL of its callback.
ALTER TABLE callback_deliveries ADD COLUMN url TEXT;
