mod history;
mod hostile;
mod rows;
