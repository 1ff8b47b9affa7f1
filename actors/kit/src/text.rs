//! The text of an SMS: which alphabet it needs and how many parts it takes (3GPP TS 23.038 and 23.040).
