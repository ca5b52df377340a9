"""Ports: what goes out of the CRM and comes in, each an interface with one honest local implementation.

None of the local implementations reaches a real service: they write files, or answer from what is here, and
say so. Whoever has a gateway, a mail server or an ERP implements the protocol of the module, nothing else.

========================== ================================ ====================================
module                     protocol                         local implementation
========================== ================================ ====================================
``notification``           ``NotificationPort``             ``NoticeFile``: no address in it
``payment``                ``PaymentPort``                  ``LocalSettlement``: no gateway
``travel_modes``           ``ModePort``                     ``TypicalSpeeds``: no timetable
``routing``                ``RoutingPort``                  ``OwnRoads``: the city's own graph
``platforms``              ``PlatformPort``                 ``StatusFile``
``telemetry``              ``TelemetryPort``                ``TelemetryFile``
``erp``                    ``ErpPort``                      ``ErpFolder``
``audience``               ``AudiencePort``                 ``AudienceFolder``
``feedback_channels``      ``FeedbackChannel``              ``MessageFile``
``balance``                ``EnquiryPort``                  ``CommandDesk``: a text command
========================== ================================ ====================================
"""
