// The circuit panel's entry; shows nothing until the host has said what to show.
document.body.dataset.ready = 'true';
