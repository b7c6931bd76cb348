"""The evaluation of served models: logged recommendations joined with what users did afterwards, by version."""
