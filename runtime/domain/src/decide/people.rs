//! Who may have an account, and who may do what.

use crate::{
    event::Event,
    id::PersonId,
    lang::text,
    person::{Person, Role},
    refusal::{Kind, Refusal},
    state::State,
};

/// The person `id`, if they have one of `roles`.
///
/// # Errors
/// `account.role`: the account does not exist or may not do this. One answer for
/// both, so that accounts cannot be enumerated.
pub fn require<'a>(state: &'a State, id: &PersonId, roles: &[Role]) -> Result<&'a Person, Refusal> {
    state.person(id).filter(|p| roles.contains(&p.role)).ok_or_else(|| {
        Refusal::new(
            Kind::SignIn,
            "account.role",
            text("此账号无权进行这项操作", "this account may not do that"),
            text("换用有权限的账号登录", "sign in with an account that may"),
        )
    })
}

/// Enrols `person`. The bureau does; the very first person must be the bureau's.
///
/// # Errors
/// `account.role`, `account.exists`, `account.first`.
pub fn enrol(state: &State, by: Option<&PersonId>, person: Person) -> Result<Event, Refusal> {
    match by {
        Some(by) => {
            require(state, by, &[Role::Bureau])?;
        }
        None if state.people().next().is_some() || person.role != Role::Bureau => {
            return Err(Refusal::refused(
                "account.first",
                text(
                    "首个账号须属于主管部门，其后的账号由主管部门登记",
                    "the first account is the bureau's, and the bureau enrols the others",
                ),
                text("以主管部门账号登录后再试", "sign in as the bureau and try again"),
            ));
        }
        None => {}
    }
    if state.person(&person.id).is_some() {
        return Err(Refusal::refused(
            "account.exists",
            text("账号名已被使用", "the account name is taken"),
            text("换一个账号名", "choose another name"),
        )
        .at(person.id.as_str()));
    }
    Ok(Event::PersonEnrolled { person })
}
