//! Components that do not answer: found, replaced, and waited for until their thread is free.
//!
//! A blocked thread can't be ended. Its component is fenced instead: store and router refuse what carries the token of
//! its start, it is no longer called, and its thread ends as soon as it is free. The store and the router themselves are
//! not asked here: a slow disk is no hang.

use actix::{ActorFutureExt, Arbiter, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;
use tracing::{error, info};
use vumi_kit::{
    health::{AskHealth, State},
    name::Name,
};

use super::registry::{Role, Supervisor};

/// What is known of the health question to a component.
#[derive(Debug, Default)]
pub(super) struct HealthQuestion {
    /// It is under way.
    asked: bool,
    /// Periods without an answer.
    missed: u32,
}

impl Supervisor {
    /// Asks every component how it is, and replaces those that have not answered for too long.
    pub(super) fn look_for_hung(&mut self, ctx: &mut Context<Self>) {
        let names: Vec<Name> = self.components.keys().cloned().collect();
        for name in names {
            let Some(component) = self.components.get_mut(&name) else { continue };
            match (component.state, &component.health) {
                (State::Up, Some(health)) if !component.question.asked => {
                    component.question.asked = true;
                    let (health, generation) = (health.clone(), component.generation);
                    let asked = async move { health.send(AskHealth).await };
                    ctx.spawn(asked.into_actor(self).map(move |_, supervisor, _| supervisor.heard(&name, generation)));
                }
                // It is asked already, or it is being started again and has not come up.
                (State::Up, _) => self.missed(&name, ctx),
                (State::Restarting, _) if component.arbiter.is_some() => self.missed(&name, ctx),
                _ => {}
            }
        }
    }

    fn missed(&mut self, name: &Name, ctx: &mut Context<Self>) {
        let Some(component) = self.components.get_mut(name) else { return };
        component.question.missed = component.question.missed.saturating_add(1);
        if component.question.missed >= self.settings.hung_after {
            self.replace(name, ctx);
        }
    }

    /// A component has answered, or has ended, which its lifeline tells.
    fn heard(&mut self, name: &Name, generation: u64) {
        if let Some(component) = self.components.get_mut(name).filter(|component| component.generation == generation) {
            component.question = HealthQuestion::default();
        }
    }

    /// Replaces a component that does not answer.
    fn replace(&mut self, name: &Name, ctx: &mut Context<Self>) {
        let Some(component) = self.components.get_mut(name) else { return };
        let (generation, role) = (component.generation, component.role);
        let silent_for = self.settings.ask_every * self.settings.hung_after;
        if let Some(arbiter) = component.arbiter.take() {
            self.linger(name, arbiter, ctx);
        }
        if role == Role::FrontEnd {
            // It holds its port until its thread is free: a fresh one could not listen there.
            error!(component = %name, ?silent_for, "it does not answer, and holds its port: the process ends");
            return self.give_up();
        }
        if self.lingering > self.settings.max_hung {
            error!(component = %name, lingering = self.lingering, "too many components are blocked: the process ends");
            self.give_up();
        }
        self.failed(name, generation, &format!("it did not answer for {silent_for:?}: its thread is blocked"), ctx);
    }

    /// Waits until the thread of a replaced component is free, and has ended.
    fn linger(&mut self, name: &Name, arbiter: Arbiter, ctx: &mut Context<Self>) {
        arbiter.stop();
        self.lingering += 1;
        let (tell, ended) = oneshot::channel();
        let joining = std::thread::Builder::new().name("vumi-linger".to_owned()).spawn(move || {
            let _panicked = arbiter.join();
            let _supervisor_is_gone = tell.send(());
        });
        if let Err(error) = joining {
            error!(component = %name, %error, "nobody waits for a blocked thread: it counts as blocked for good");
            return;
        }
        let name = name.clone();
        ctx.spawn(ended.into_actor(self).map(move |_, supervisor, _| {
            supervisor.lingering = supervisor.lingering.saturating_sub(1);
            info!(component = %name, "the thread of a component that was replaced is free, and has ended");
        }));
    }

    fn give_up(&self) {
        // Full: the process ends already.
        let _ends = self.fatal.try_send("a component that does not answer");
    }
}

/// Asks how many components were replaced and are still blocked.
#[cfg(test)]
#[derive(actix::Message)]
#[rtype(result = "usize")]
pub(super) struct CountLingering;

#[cfg(test)]
impl actix::Handler<CountLingering> for Supervisor {
    type Result = usize;

    fn handle(&mut self, _: CountLingering, _: &mut Self::Context) -> usize {
        self.lingering
    }
}
