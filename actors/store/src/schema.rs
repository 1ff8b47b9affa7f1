//! The tables, as `migrations/` creates them.

diesel::table! {
    accounts (id) {
        id -> BigInt,
        username -> Text,
        password_hash -> Text,
        sandbox -> Integer,
        roles -> Text,
        former_hash -> Nullable<Text>,
        former_until -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        locked_at -> Nullable<BigInt>,
        stopped_at -> Nullable<BigInt>,
        networks -> Text,
        senders -> Text,
        transports -> Text,
        countries -> Text,
        country_code -> Nullable<Text>,
        smpp_hash -> Nullable<Text>,
        smpp_binds -> Nullable<Integer>,
        codes -> Text,
    }
}

diesel::table! {
    conversations (id) {
        id -> BigInt,
        account -> BigInt,
        name -> Text,
        version -> BigInt,
        ussd -> Nullable<Text>,
        sms -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    conversation_versions (conversation, version) {
        conversation -> BigInt,
        version -> BigInt,
        text -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    conversation_changes (id) {
        id -> BigInt,
        changes -> BigInt,
    }
}

diesel::table! {
    account_tokens (id) {
        id -> BigInt,
        account -> BigInt,
        label -> Text,
        digest -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    account_changes (id) {
        id -> BigInt,
        changes -> BigInt,
    }
}

diesel::table! {
    account_quotas (account) {
        account -> BigInt,
        recipients_per_minute -> Nullable<BigInt>,
        most_waiting -> Nullable<BigInt>,
        waiting -> BigInt,
        budget_unit -> Nullable<Text>,
        balance -> BigInt,
        spent -> BigInt,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        at -> BigInt,
        actor -> Text,
        address -> Nullable<Text>,
        account -> Nullable<Text>,
        event -> Text,
        detail -> Text,
    }
}

diesel::table! {
    sms (id) {
        id -> BigInt,
        account -> BigInt,
        transport -> Text,
        recipient -> Text,
        sender -> Text,
        message -> Text,
        status -> Integer,
        provider_said -> Nullable<Text>,
        provider_id -> Nullable<Text>,
        attempts -> Integer,
        delivered_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        give_up_at -> BigInt,
        next_attempt_at -> Nullable<BigInt>,
        claimed_by -> Nullable<Text>,
        unsure -> Integer,
        begun -> Integer,
        priority -> Integer,
        scheduled_at -> Nullable<BigInt>,
        held_at -> Nullable<BigInt>,
        held_because -> Nullable<Text>,
        segments -> Integer,
        batch -> Nullable<BigInt>,
        reference -> Nullable<Text>,
        // Where an SMS is told of: a URL, or what an ESME asked for.
        callback_url -> Nullable<Text>,
        content -> Text,
        udh -> Nullable<Text>,
        route -> Nullable<Text>,
        charged -> Nullable<BigInt>,
        text_removed_at -> Nullable<BigInt>,
        occasion -> Integer,
    }
}

diesel::table! {
    sms_events (id) {
        id -> BigInt,
        sms -> BigInt,
        at -> BigInt,
        what -> Text,
        detail -> Text,
    }
}

diesel::table! {
    sms_attempts (sms, attempt) {
        sms -> BigInt,
        attempt -> Integer,
        at -> BigInt,
        said -> Text,
    }
}

diesel::table! {
    idempotency_keys (account, key) {
        account -> BigInt,
        key -> Text,
        request_digest -> Text,
        sms_ids -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    receipts (id) {
        id -> BigInt,
        transport -> Text,
        sms -> Nullable<BigInt>,
        named_sms -> Nullable<BigInt>,
        provider_id -> Nullable<Text>,
        recipient -> Nullable<Text>,
        status -> Integer,
        at -> Nullable<BigInt>,
        fields -> Text,
        received_at -> BigInt,
        part -> Nullable<Integer>,
        provider_status -> Nullable<Text>,
        digest -> Nullable<Text>,
        folded_id -> Nullable<Text>,
    }
}

diesel::table! {
    sms_parts (sms, part) {
        sms -> BigInt,
        part -> Integer,
        transport -> Text,
        provider_id -> Nullable<Text>,
        status -> Integer,
        folded_id -> Nullable<Text>,
        taken -> Integer,
        must_report -> Integer,
    }
}

diesel::table! {
    received_sms (id) {
        id -> BigInt,
        account -> BigInt,
        transport -> Text,
        message_id -> Text,
        sender -> Text,
        recipient -> Text,
        message -> Text,
        charset -> Nullable<Text>,
        provider_id -> Nullable<Text>,
        at -> Nullable<BigInt>,
        outcome -> Nullable<Text>,
        reply -> Nullable<BigInt>,
        route_at -> Nullable<BigInt>,
        claimed_by -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
        text_removed_at -> Nullable<BigInt>,
        consent -> Nullable<Text>,
        incomplete -> Integer,
    }
}

diesel::table! {
    consent (id) {
        id -> BigInt,
        msisdn -> Text,
        scope -> Text,
        is_out -> Integer,
        at -> BigInt,
        written_by -> Text,
        words -> Text,
    }
}

diesel::table! {
    consent_now (msisdn, scope) {
        msisdn -> Text,
        scope -> Text,
        is_out -> Integer,
        consent -> BigInt,
    }
}

diesel::table! {
    received_parts (id) {
        id -> BigInt,
        account -> BigInt,
        transport -> Text,
        sender -> Text,
        recipient -> Text,
        reference -> Text,
        total -> Integer,
        part -> Integer,
        message -> Text,
        charset -> Nullable<Text>,
        provider_id -> Nullable<Text>,
        at -> Nullable<BigInt>,
        created_at -> BigInt,
        received -> Nullable<BigInt>,
        due_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    callbacks (id) {
        id -> BigInt,
        account -> BigInt,
        name -> Text,
        url -> Text,
        secret -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        format -> Text,
        failing_since -> Nullable<BigInt>,
        disabled_at -> Nullable<BigInt>,
        disabled_because -> Nullable<Text>,
        dropped -> BigInt,
    }
}

diesel::table! {
    callback_deliveries (id) {
        id -> BigInt,
        callback -> BigInt,
        name -> Text,
        sms -> Nullable<BigInt>,
        body -> Text,
        attempts -> Integer,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        next_attempt_at -> Nullable<BigInt>,
        claimed_by -> Nullable<Text>,
        parked_at -> Nullable<BigInt>,
        format -> Text,
        url -> Nullable<Text>,
    }
}

diesel::table! {
    callback_attempts (delivery, attempt) {
        delivery -> BigInt,
        attempt -> Integer,
        at -> BigInt,
        http_status -> Nullable<Integer>,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    sessions (owner, person) {
        owner -> Text,
        person -> Text,
        address -> Text,
        last_message_id -> Text,
        state -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    answers (campaign, person, question) {
        campaign -> Text,
        person -> Text,
        question -> Text,
        answer -> Text,
    }
}

diesel::table! {
    answer_counts (campaign, question, answer) {
        campaign -> Text,
        question -> Text,
        answer -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    ledger_clock (id) {
        id -> BigInt,
        boot -> Text,
        began_at -> BigInt,
        seen_at -> BigInt,
        seen_wall -> Nullable<BigInt>,
    }
}

diesel::table! {
    retention_progress (what, account, transport) {
        what -> Text,
        account -> BigInt,
        transport -> Text,
        updated_at -> BigInt,
        id -> BigInt,
    }
}

diesel::table! {
    expanding_migrations (version) {
        version -> Text,
    }
}

diesel::joinable!(callback_deliveries -> callbacks (callback));
diesel::joinable!(callback_attempts -> callback_deliveries (delivery));
diesel::allow_tables_to_appear_in_same_query!(accounts, account_quotas);
diesel::allow_tables_to_appear_in_same_query!(accounts, sms);
diesel::allow_tables_to_appear_in_same_query!(consent, consent_now);
diesel::allow_tables_to_appear_in_same_query!(consent_now, sms);
diesel::allow_tables_to_appear_in_same_query!(callbacks, callback_deliveries, callback_attempts);

diesel::table! {
    transport_beats (node, transport) {
        node -> Text,
        transport -> Text,
        at -> BigInt,
        sendability -> Nullable<Integer>,
        wants_probe -> Integer,
        submitted -> BigInt,
        receipts -> BigInt,
    }
}

diesel::table! {
    broadcasts (id) {
        id -> BigInt,
        account -> BigInt,
        username -> Text,
        name -> Text,
        template -> Text,
        transport -> Nullable<Text>,
        sender -> Text,
        pace -> Nullable<Integer>,
        state -> Text,
        lines -> Nullable<BigInt>,
        loaded -> BigInt,
        taken -> BigInt,
        accepted -> BigInt,
        refused -> BigInt,
        why -> Nullable<Text>,
        next_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    broadcast_chunks (broadcast, last_line) {
        broadcast -> BigInt,
        last_line -> BigInt,
        lines -> Text,
    }
}

diesel::table! {
    broadcast_refusals (broadcast, line) {
        broadcast -> BigInt,
        line -> BigInt,
        why -> Text,
    }
}
