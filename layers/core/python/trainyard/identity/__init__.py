"""Who somebody is, as an OpenID Connect provider of the operator's choice says it, and which user that is here."""
