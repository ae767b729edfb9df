"""Which requirement of which framework asks for which evidence.

A line says what is evidence *for* a requirement, never that it is met: that is for people to judge.
`beyond` names what no store of the product can hold; such a line is at most "partly".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AI_ACT = "EU AI Act (Regulation (EU) 2024/1689), high-risk systems"
SR_11_7 = "SR 11-7 / OCC 2011-12, supervisory guidance on model risk management"
NIST = "NIST AI Risk Management Framework 1.0 (AI 100-1)"
ISO_42001 = "ISO/IEC 42001:2023, Annex A"
FRAMEWORKS = (AI_ACT, SR_11_7, NIST, ISO_42001)

KINDS: Mapping[str, str] = {
    "use": "declared use, metric and owner",
    "risk": "declared risk class",
    "people": "people who may approve and override",
    "interface": "what callers send, and the package's contents",
    "card": "the version's page for reviewers (model card)",
    "record": "the training's record",
    "code": "commit that the version was trained from",
    "architecture": "what the model is made of",
    "search": "trials of the search",
    "causes": "why it was trained",
    "lineage": "lineage from tables to the version",
    "query": "query of the training set",
    "package": "digest and signature of the package",
    "libraries": "libraries and bills of materials",
    "reproduction": "a training from the record, compared",
    "data_set": "data set: version, licence, limits (data sheet)",
    "training_set": "verdict on the training set",
    "deliveries": "verdicts on what was delivered",
    "evaluation": "metrics with intervals, and plots",
    "golden": "metrics on the golden set",
    "gates": "verdicts of the gates",
    "slices": "metrics of parts of the rows",
    "fairness": "comparison of groups",
    "robustness": "answers to changed inputs",
    "explanations": "how much each input matters",
    "test_score": "ML Test Score, computed from the records",
    "ledger": "the signed release ledger",
    "approval": "approval by another named person",
    "reviews": "reviews of single decisions by named people",
    "service": "who answered callers, at which share, since when",
    "tried": "verdicts on live traffic before all of it",
    "pipeline": "deployments of the pipeline",
    "monitoring": "windows of monitoring",
    "performance": "performance on labels that came",
    "checks": "checks of inputs, answers and the endpoint",
    "alarms": "alarms, and who closed them",
    "retraining": "causes and decisions of trainings",
    "log": "completeness of the log of answers",
    "feedback": "what applications told about answers",
}
"""Every kind of evidence, and what it is."""


@dataclass(frozen=True)
class Requirement:
    """One clause: what it asks for in a few words, and which kinds are evidence for it."""

    framework: str
    clause: str
    title: str
    kinds: tuple[str, ...]
    beyond: str = ""


def _table(framework: str, *rows: tuple[str, str, str, str]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(framework, clause, title, tuple(kinds.split()), beyond)
        for clause, title, kinds, beyond in rows
    )


REQUIREMENTS: tuple[Requirement, ...] = (
    *_table(
        AI_ACT,
        (
            "Art. 9(2)",
            "Risks are identified, estimated and evaluated again in use",
            "use risk monitoring alarms",
            "the written risk analysis, the measures taken and the residual risk",
        ),
        (
            "Art. 9(6)-(8)",
            "Testing against metrics and thresholds that were set before",
            "gates evaluation golden robustness",
            "",
        ),
        (
            "Art. 10(2)(a)-(d)",
            "Design choices, origin, preparation and assumptions of the data",
            "data_set lineage query",
            "",
        ),
        ("Art. 10(2)(f)-(g)", "Examination for biases, and measures", "fairness slices", ""),
        (
            "Art. 10(2)(h), 10(3)",
            "Gaps of the data; relevant, representative, as free of errors as possible",
            "data_set training_set deliveries checks",
            "",
        ),
        (
            "Art. 11(1), Annex IV(1)",
            "General description: purpose, version, interface",
            "use card interface",
            "",
        ),
        (
            "Annex IV(2)(a)-(c)",
            "Development: methods, design, architecture, resources",
            "record code architecture search libraries pipeline",
            "",
        ),
        ("Annex IV(2)(d)", "Data requirements and data sheets", "data_set lineage query", ""),
        ("Annex IV(2)(e)", "Assessment of human oversight", "people approval reviews", ""),
        (
            "Annex IV(2)(f)",
            "Changes that were determined beforehand",
            "causes retraining gates",
            "",
        ),
        (
            "Annex IV(2)(g)",
            "Validation and testing: procedures, metrics, test logs, who is responsible",
            "evaluation golden gates slices fairness approval",
            "",
        ),
        ("Annex IV(2)(h)", "Cybersecurity measures", "package libraries ledger", ""),
        (
            "Annex IV(3)",
            "Capabilities and limits, also for groups of persons",
            "evaluation slices fairness explanations interface",
            "foreseeable unintended outcomes, in words",
        ),
        ("Annex IV(4)", "Why the performance metrics are appropriate", "use evaluation", ""),
        ("Annex IV(6)", "Changes through the lifecycle", "service retraining ledger", ""),
        (
            "Annex IV(9)",
            "How performance is evaluated after release",
            "monitoring performance",
            "the post-market monitoring plan",
        ),
        ("Art. 12(1)-(2)", "Events are recorded automatically", "log ledger monitoring", ""),
        (
            "Art. 13(3)",
            "Transparency: instructions for use",
            "card use interface evaluation explanations",
            "the instructions for use as the deployer gets them",
        ),
        (
            "Art. 14",
            "People oversee, intervene and stop",
            "people approval reviews service alarms",
            "competence, training and authority of these people",
        ),
        (
            "Art. 15(1), (3)",
            "Accuracy, and that it is declared",
            "evaluation golden performance",
            "",
        ),
        (
            "Art. 15(4)",
            "Robustness, and feedback loops of what goes on learning",
            "robustness checks retraining tried",
            "",
        ),
        (
            "Art. 15(5)",
            "Cybersecurity: data, model and supply chain",
            "package libraries ledger",
            "",
        ),
        (
            "Art. 17(1)",
            "Quality management: design control, tests, data, records, accountability",
            "code gates data_set deliveries ledger people alarms test_score",
            "the written policies, procedures and instructions",
        ),
        ("Art. 19(1)", "Logs are kept, for six months at least", "log", ""),
        (
            "Art. 72(1)-(3)",
            "Post-market monitoring over the lifetime",
            "monitoring performance checks alarms feedback",
            "the post-market monitoring plan",
        ),
        (
            "Art. 86",
            "A person is told what made a decision about them",
            "explanations reviews",
            "what each person was told",
        ),
    ),
    *_table(
        SR_11_7,
        ("IV", "Development: statement of purpose and sound design", "use architecture search", ""),
        (
            "IV",
            "Development: quality and relevance of data",
            "data_set training_set deliveries",
            "",
        ),
        (
            "IV",
            "Development: testing, also under stress",
            "evaluation gates robustness slices test_score",
            "",
        ),
        ("IV", "Implementation: controls of the systems", "code package libraries pipeline", ""),
        ("IV", "Use: feedback of users, and limits that are known", "feedback card interface", ""),
        (
            "V",
            "Validation by people who are independent of development",
            "approval people",
            "the validators' own report",
        ),
        ("V.1", "Conceptual soundness", "architecture explanations robustness reproduction", ""),
        ("V.2", "Ongoing monitoring, process verification", "monitoring checks log alarms", ""),
        ("V.2", "Overrides are recorded and analysed", "ledger gates", ""),
        ("V.3", "Outcomes analysis and back-testing", "performance golden tried", ""),
        ("V", "Changes are validated again", "retraining gates approval", ""),
        (
            "VI",
            "Roles and responsibilities",
            "people approval",
            "board and senior management oversight, policies",
        ),
        ("VI", "Inventory", "service package card", ""),
        (
            "VI",
            "Documentation that an unfamiliar party understands",
            "card record lineage query reproduction",
            "",
        ),
        ("VI", "Internal audit can verify", "ledger reproduction log", ""),
    ),
    *_table(
        NIST,
        (
            "GOVERN 1.5",
            "Ongoing monitoring and review",
            "monitoring alarms",
            "the plan of periodic reviews",
        ),
        ("GOVERN 1.6", "Inventory of systems", "service package", ""),
        ("GOVERN 2.1", "Roles and lines of communication", "people alarms", ""),
        ("MAP 1.1", "Intended purpose and context", "use risk", ""),
        (
            "MAP 2.3",
            "Scientific integrity of test, evaluation, verification, validation",
            "data_set evaluation golden",
            "",
        ),
        ("MAP 4.2", "Controls of third-party components", "libraries package", ""),
        (
            "MEASURE 2.1",
            "Test sets, metrics and tools are documented",
            "record evaluation golden query",
            "",
        ),
        (
            "MEASURE 2.3",
            "Performance under conditions like those of deployment",
            "evaluation tried performance",
            "",
        ),
        ("MEASURE 2.4", "Behaviour in production is monitored", "monitoring checks", ""),
        (
            "MEASURE 2.5",
            "Valid and reliable, with limits of generalisation",
            "evaluation robustness slices",
            "",
        ),
        ("MEASURE 2.7", "Security and resilience", "package libraries ledger", ""),
        ("MEASURE 2.8", "Transparency and accountability", "ledger approval card", ""),
        ("MEASURE 2.9", "The model is explained and documented", "explanations card", ""),
        ("MEASURE 2.11", "Fairness and bias", "fairness slices", ""),
        ("MEASURE 3.1", "Existing and emergent risks are tracked", "alarms checks retraining", ""),
        ("MEASURE 3.3", "Feedback of users", "feedback", "processes to appeal outcomes"),
        ("MANAGE 1.1", "Decision whether to go on", "gates approval", ""),
        ("MANAGE 2.4", "Mechanisms to supersede, disengage, deactivate", "service people", ""),
        (
            "MANAGE 4.1",
            "Post-deployment monitoring, override, change management",
            "monitoring performance alarms retraining ledger",
            "",
        ),
        (
            "MANAGE 4.3",
            "Incidents and errors are tracked",
            "alarms",
            "communication to those who are affected",
        ),
    ),
    *_table(
        ISO_42001,
        ("A.3.2", "Roles and responsibilities", "people", ""),
        ("A.4.3", "Data resources", "data_set lineage", ""),
        ("A.4.4-A.4.5", "Tooling, system and computing resources", "libraries record", ""),
        ("A.5.2-A.5.5", "Assessment of impacts", "risk use", "the assessment itself"),
        ("A.6.2.2", "Requirements and specification", "use interface", ""),
        ("A.6.2.3", "Design and development", "record code architecture search", ""),
        (
            "A.6.2.4",
            "Verification and validation",
            "gates evaluation golden approval test_score",
            "",
        ),
        ("A.6.2.5", "Deployment", "service tried pipeline", ""),
        ("A.6.2.6", "Operation and monitoring", "monitoring performance checks alarms", ""),
        ("A.6.2.7", "Technical documentation", "card record interface", ""),
        ("A.6.2.8", "Event logs", "log ledger", ""),
        ("A.7.2-A.7.3", "Data for development, and its acquisition", "data_set query", ""),
        ("A.7.4", "Quality of data", "training_set deliveries", ""),
        ("A.7.5", "Provenance of data", "lineage data_set", ""),
        ("A.7.6", "Preparation of data", "query deliveries", ""),
        ("A.8.2", "Documentation and information for users", "card interface explanations", ""),
        ("A.8.4", "Communication of incidents", "alarms", "the plan to tell users"),
        ("A.9.4", "Intended use", "use service", ""),
        ("A.10.3", "Suppliers", "libraries", "the suppliers' own commitments"),
    ),
)
"""Clauses that ask for documents of the organisation alone (Annex IV(7), (8)) have no line."""
