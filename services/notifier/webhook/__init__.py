"""`notifier.webhook`: events for programs of others, over HTTP.

events      which webhooks an event concerns, of `notifier.webhook.events`
delivering  the attempts of `notifier.webhook`: in order, bounded for each webhook, again after a wait
commands    what people do with webhooks
store       webhooks, and the log of their deliveries
signing     how a receiver knows that it is us
"""
