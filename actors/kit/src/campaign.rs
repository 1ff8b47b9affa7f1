//! Writing a campaign.
