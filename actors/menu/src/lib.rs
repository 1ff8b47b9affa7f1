//! Menus in YAML: a service without code. [`read`] reads a file and says everything that is wrong with it at once, each problem
//! with its place and what may have been meant. `docs/menus.md` describes the language.
//!
//! There are two forms: a map with named steps, and the bare list of questions that the first Vumi took in 2010.

mod answer_format;
mod condition;
mod dates;
mod languages;
mod model;
mod permissions;
mod read;
mod schedule;
mod source;
mod suggest;
mod variables;
mod words;
mod yaml;

pub use answer_format::{AnswerFormat, AnswerPattern};
pub use condition::{Condition, ConditionOperator, Operand, OperandValue};
pub use dates::{DateBase, DateExpression, DateShift, DateUnit};
pub use model::{
    BranchLine, BranchStep, EndStep, FetchBody, FetchMethod, FetchStep, Menu, MenuForm, MenuKeys, MenuLanguage,
    MenuOption, MenuStep, MenuText, MenuTranslation, QuestionAnswers, QuestionStep, ResumePolicy, SetValue, SmsStep,
    StepAction, StepLink,
};
pub use permissions::{MenuPermissions, SecretNames};
pub use read::{read, read_with};
pub use schedule::{RepeatDay, RepeatEnd, SmsTime};
pub use source::{MenuProblem, MenuSource, Placed, SourcePlace};
pub use variables::VariableType;
